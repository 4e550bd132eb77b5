import type { Answer } from 'dns-packet';
import type { RecordData } from '../../src/dns/zone.ts';
import type { DnsServer } from './dns-server.ts';

/** Publishes a record in our terms, TXT in strings that fit. */
export function publish(dns: Pick<DnsServer, 'add'>, name: string, data: RecordData): void {
  dns.add(answerOf(name, data));
}

function answerOf(name: string, data: RecordData): Answer {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return { name, type: data.type, data: data.address };
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { name, type: data.type, data: data.target };
    case 'MX':
      return { name, type: 'MX', data: { preference: data.preference, exchange: data.exchange } };
    case 'TXT':
      return { name, type: 'TXT', data: data.text.match(/.{1,255}/gs) ?? [''] };
    case 'CAA':
      return { name, type: 'CAA', data: { flags: data.flags, tag: data.tag as 'issue', value: data.value } };
    case 'SRV':
      return {
        name,
        type: 'SRV',
        data: { priority: data.priority, weight: data.weight, port: data.port, target: data.target },
      };
  }
}

/** A zone served by `dns` itself: `ns.<zone>` at its address. Queries for its records come to its port. */
export function delegate(dns: Pick<DnsServer, 'add'>, zone: string, hosts: readonly string[]): void {
  for (const [place, host] of hosts.entries()) {
    publish(dns, zone, { type: 'NS', target: `ns${place}.${zone}` });
    publish(dns, `ns${place}.${zone}`, { type: 'A', address: host });
  }
}
