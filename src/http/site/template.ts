import { marked } from 'marked';

/** What stands in pages as `{{name}}`: text is escaped, what is marked as HTML is put in as it is. */
export type Values = Readonly<Record<string, string | { readonly html: string } | undefined>>;

/**
 * A page of Markdown as HTML. `{{name}}` becomes its value, also within a link. What stands between `{{#name}}` and
 * `{{/name}}`, each on a line of its own, is kept where the value is there and not empty; between `{{^name}}` and
 * `{{/name}}` where it is not. A name without a value is left as it is, so that whoever edits the page sees it. Pages
 * from an upstream relay say `{{ config.name }}`, which is the same.
 */
export function renderMarkdown(source: string, values: Values): string {
  const plain = source.replace(/\{\{\s*(?:config\.)?(\w+)\s*\}\}/g, '{{$1}}');
  const html = marked.parse(withoutSections(plain, values), { async: false });
  // Within links, Markdown has escaped the braces.
  return html.replace(/(?:\{\{|%7B%7B)(\w+)(?:\}\}|%7D%7D)/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return Object.hasOwn(values, name) ? '' : whole;
    return typeof value === 'string' ? escapeHtml(value) : value.html;
  });
}

function withoutSections(source: string, values: Values): string {
  const section = /^\{\{([#^])(\w+)\}\}\n([^]*?)^\{\{\/\2\}\}\n?/gm;
  return source.replace(section, (_, kind: string, name: string, inside: string) => {
    const there = values[name] !== undefined && values[name] !== '';
    return there === (kind === '#') ? inside : '';
  });
}

/** Text as HTML; line breaks stay to be seen. */
export function escapeHtml(text: string): string {
  const escapes: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (letter) => escapes[letter] ?? letter).replace(/\n/g, '<br>');
}
