/**
 * Content-Security-Policy of the pages that come with Teal: they need nothing but their style, and no script could run
 * even if one got in. `posts`: a form on the page is sent to us.
 */
export function strictPolicy({ posts }: { readonly posts: boolean }): string {
  return (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
    `form-action ${posts ? "'self'" : "'none'"}; frame-ancestors 'none'`
  );
}
