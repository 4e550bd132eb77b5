import assert from 'node:assert/strict';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus' text format, strictly: a line that is none of it fails the test. */
export function parseMetrics(text: string): readonly Sample[] {
  assert.ok(text.endsWith('\n'));
  return text.split('\n').flatMap((line) => {
    if (line === '' || /^# (?:HELP [a-z_0-9]+ .+|TYPE [a-z_0-9]+ (?:counter|gauge|histogram))$/.test(line))
      return [];
    const [, name = '', labels = '', value = ''] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    assert.match(value, /^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|Nan|[+-]Inf)$/, line);
    return [{ name, labels: labelsOf(labels), value: Number(value) }];
  });
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([a-z]+)="((?:[^"\\]|\\.)*)",?/g)];
  assert.equal(pairs.map(([whole]) => whole).join(''), text);
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]));
}

/** The samples with a value other than 0, as one writes them: `name{label="value"}`. */
export function countsOf(samples: readonly Sample[]): Record<string, number> {
  return Object.fromEntries(
    samples
      .filter(({ value }) => value !== 0)
      .map(({ name, labels, value }) => {
        const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
        return [pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`, value];
      }),
  );
}

/** What Prometheus would read at the metrics_port. */
export async function scrape(port: number | undefined): Promise<readonly Sample[]> {
  return parseMetrics(await scrapeText(port));
}

export async function scrapeText(port: number | undefined): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

/** The value of the one sample of that name and those labels; undefined where there is none. */
export function valueOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = JSON.stringify(labels);
  return samples.find((sample) => sample.name === name && JSON.stringify(sample.labels) === wanted)?.value;
}
