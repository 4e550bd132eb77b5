import { summarize } from '../../dns/check.ts';
import type { Finding, Report } from '../../dns/check.ts';
import type { Settings } from '../../settings/table.ts';
import { bad, ok, warn } from './line.ts';
import type { Line } from './line.ts';

/** Of a few mail servers of others, each one's greeting, or why there was none. */
export interface Outgoing {
  readonly host: string;
  readonly problem: string | undefined;
}

/** One that answers is enough: each of the others may have a bad day. */
export function judgeOutgoing(tried: readonly Outgoing[]): Line {
  const topic = 'outgoing 25';
  const reached = tried.filter(({ problem }) => problem === undefined);
  if (reached.length > 0) return ok(topic, `${reached.map(({ host }) => host).join(', ')} answered`);
  if (tried.length === 0)
    return warn(topic, 'not tried: DNS did not say where the mail servers of others are');
  const problems = tried.map(({ host, problem }) => `${host}: ${problem ?? ''}`).join('; ');
  return bad(
    topic,
    `nobody answered (${problems}): many providers keep port 25 closed until they are asked; mail to servers without HTTPS delivery cannot leave`,
  );
}

/** Whether the DNS server tells that it has checked signatures; `checks` is undefined where it did not answer. */
export function judgeDnssec(checks: boolean | undefined, dane: Settings['dane']): readonly Line[] {
  const topic = 'dnssec';
  if (dane === 'off') return [];
  if (checks === true) return [ok(topic, 'the DNS server checks it: DANE records of mail servers count')];
  if (dane === 'enforce')
    return [
      warn(
        topic,
        checks === false
          ? 'the DNS server does not check it, so that dane = enforce does nothing: run one that does on this machine'
          : 'the DNS server does not answer, so that DANE records of mail servers are not known',
      ),
    ];
  return checks === false
    ? [ok(topic, 'the DNS server does not check it: DANE records of mail servers are not looked at')]
    : [];
}

/** Ports of our own name that a connection was tried to. */
export interface Reach {
  readonly address: string;
  readonly port: number;
  readonly reached: boolean;
}

/** From inside, a wall outside is not seen, and some routers do not let a machine reach itself (hairpin). */
export function judgeReach(domain: string, tried: readonly Reach[]): Line {
  const closed = tried.filter(({ reached }) => !reached);
  if (tried.length === 0) return warn('reachable', `not tried: DNS has no address for ${domain}`);
  return closed.length === 0
    ? ok(
        'reachable',
        `${domain} answers on ${[...new Set(tried.map(({ port }) => port))].join(', ')}, seen from this machine`,
      )
    : warn(
        'reachable',
        `no connection from here to ${closed.map(({ address, port }) => `${address} port ${port}`).join(', ')}: a firewall, or a router that does not let this machine reach itself`,
      );
}

/** Records named in one line. */
const MAX_NAMED = 4;

/** The check of the zone in short, and the name of each address. */
export function judgeDns(report: Report): readonly Line[] {
  const { failing, weak, unknown } = summarize(report);
  const named = (findings: readonly Finding[]) => {
    const texts = findings.slice(0, MAX_NAMED).map(({ type, name, state }) => `${type} ${name} ${state}`);
    const more = findings.length - texts.length;
    return [...texts, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  };
  const notReverse = ({ role }: Finding) => role !== 'reverse';
  const should = weak.filter(notReverse);
  const unanswered = unknown.filter(notReverse);
  const line =
    failing.length > 0
      ? bad('dns', `must be put right: ${named(failing)}; see teal dns check`)
      : unanswered.length > 0
        ? warn('dns', `no answer for ${named(unanswered)}`)
        : should.length > 0
          ? warn('dns', `should be put right: ${named(should)}; see teal dns check`)
          : ok('dns', 'all that must and should be there is there');
  const reverse = report.findings.filter(({ role }) => role === 'reverse');
  return [line, ...reverse.map(judgeReverse)];
}

function judgeReverse({ name, state, have, notes }: Finding): Line {
  const text = `${name}: ${have.join(', ') || state}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
  return state === 'ok'
    ? ok('ptr', `${text}, and back`)
    : warn('ptr', `${text}; the name is set where the machine is rented`);
}
