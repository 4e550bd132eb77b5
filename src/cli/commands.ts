import type { Command, Flag } from './command.ts';
import { configCheck } from './config-check.ts';
import { configShow } from './config-show.ts';
import { help } from './help.ts';
import { version } from './version.ts';

const configFlag: Flag = {
  name: 'config',
  value: 'FILE',
  text: 'The file with the settings. Else the one that `TEAL_CONFIG` names, else `config/chatmail.ini` if it is there.',
};

/** Every command of `teal`, in the order of help and of docs/cli.md. */
export const commands: readonly Command[] = [
  {
    name: 'serve',
    flags: [
      configFlag,
      {
        name: 'lan',
        text: 'Let the trial listen on the network address of this machine, and show QR codes for phones.',
      },
    ],
    summary: 'Run the relay, or a trial of it when no mail_domain is set',
    text:
      'Runs until it gets SIGINT or SIGTERM, then finishes what is under way and ends. Without `mail_domain` it is a ' +
      'trial: it listens on high ports of this machine alone and shows how to log in.',
    // Loaded when it is asked for: no other command has to load the mail server.
    run: async (call) => (await import('./serve.ts')).serve(call),
  },
  {
    name: 'config check',
    flags: [configFlag],
    summary: 'Check the settings',
    text:
      'Tells every problem in the settings, with file and line, and what is in them without an effect here. ' +
      'It changes nothing, opens no port, and asks no other machine. The exit code is 0 when there is no problem.',
    run: configCheck,
  },
  {
    name: 'config show',
    flags: [configFlag],
    summary: 'Show the settings in effect and where each comes from',
    text:
      'Prints every setting with its value and, in brackets, where it comes from: the file with its line, the ' +
      'environment, or the default. Secrets are hidden.',
    run: configShow,
  },
  {
    name: 'move',
    flags: [
      configFlag,
      { name: 'from', value: 'STORE', text: 'The store that everything is in: `sqlite` or `wildduck`.' },
      { name: 'to', value: 'STORE', text: 'The store that it shall be in: the other one, empty.' },
    ],
    summary: 'Move everything from one store to another',
    text:
      'Copies accounts, mailboxes, messages, device tokens and all else, exactly: clients notice nothing. Then it ' +
      'reads both stores, counts, and compares checksums. Stop every Teal before: neither store may be served ' +
      'meanwhile. The source is only read. A move that was interrupted goes on when it is called again; until it has ' +
      'come to its end, Teal refuses to serve the target. The settings must say where both stores are; `store` itself ' +
      'does not matter here.',
    run: async (call) => (await import('./move.ts')).move(call),
  },
  {
    name: 'dkim show',
    flags: [configFlag],
    summary: 'Show the DNS records of the keys that sign outgoing mail',
    text:
      'Prints the TXT records that must be in DNS for the keys of `dkim_selector_rsa` and `dkim_selector_ed25519`. ' +
      'Keys that are not there are made. Works before the first start, and beside a relay that is running.',
    run: async (call) => (await import('./dkim.ts')).dkimShow(call),
  },
  {
    name: 'dkim import',
    words: { name: 'FILE', most: 1, text: 'The private key in PEM, RSA (PKCS#1 or PKCS#8) or Ed25519.' },
    flags: [
      configFlag,
      {
        name: 'selector',
        value: 'SELECTOR',
        text: 'Where its public half is in DNS. Else the one that the settings have for its kind of key.',
      },
      { name: 'replace', text: 'Replace the key that the selector has. Without this it stays.' },
    ],
    summary: 'Take over a key that signs already, such as opendkim.private of another relay',
    text:
      'Keeps the key in the store under the selector. A relay that is running signs with it within a minute. ' +
      'What is in DNS for the key stays as it is.',
    run: async (call) => (await import('./dkim.ts')).dkimImport(call),
  },
  {
    name: 'dkim export',
    words: {
      name: 'FILE',
      most: 1,
      text: 'Where to write it, readable for its owner alone; it must not be there. Else the standard output.',
    },
    flags: [
      configFlag,
      { name: 'selector', value: 'SELECTOR', text: 'Whose key. Else that of `dkim_selector_rsa`.' },
    ],
    summary: 'Write a private key in PEM, to keep it or to use it elsewhere',
    text: 'Whoever has it can sign mail in the name of this relay.',
    run: async (call) => (await import('./dkim.ts')).dkimExport(call),
  },
  {
    name: 'token add',
    flags: [
      configFlag,
      {
        name: 'uses',
        value: 'NUMBER',
        text: 'Accounts that it makes; 1 unless given, `any` for as many as come.',
      },
      {
        name: 'expires',
        value: 'TIME',
        text: 'After which it makes none: `12h`, `7d`, `4w`. Unless given it does not expire.',
      },
      { name: 'note', value: 'TEXT', text: 'For you, shown by `teal token list`.' },
    ],
    summary: 'Make an invitation, for who may have an account where registration is by token',
    text:
      'Prints a link for a browser, the same for Delta Chat, and a QR code. They are shown this once: the store keeps ' +
      'only a hash. Works beside a relay that is running, and at once.',
    run: async (call) => (await import('./token.ts')).tokenAdd(call),
  },
  {
    name: 'token list',
    flags: [configFlag],
    summary: 'Show the invitations: id, what is used of them, expiry, note',
    text: 'A relay may be running.',
    run: async (call) => (await import('./token.ts')).tokenList(call),
  },
  {
    name: 'token remove',
    words: { name: 'ID', most: 50, text: 'Which ones, as `teal token list` shows them.' },
    flags: [configFlag],
    summary: 'Withdraw invitations',
    text: 'They make no more accounts, at once. Accounts that they have made stay. A relay may be running.',
    run: async (call) => (await import('./token.ts')).tokenRemove(call),
  },
  {
    name: 'queue',
    words: {
      name: 'DESTINATION',
      most: 1,
      text: 'A domain, or an address literal in its brackets: shows every recipient there that waits.',
    },
    flags: [configFlag],
    summary: 'Show the mail that waits for other relays, and why',
    text:
      'Without a destination: which destinations have mail that waits, for how many recipients, since when, and when ' +
      'the next try is. With one: each recipient, the tries that failed, and what went wrong the last time. What is ' +
      'being tried just now shows the time at which it would be tried again. Reads only; a relay may be running.',
    run: async (call) => (await import('./queue.ts')).queue(call),
  },
  {
    name: 'dns show',
    flags: [
      configFlag,
      {
        name: 'format',
        value: 'FORMAT',
        text: '`bind`: a zone file. `table`: for the form of a provider. Else both.',
      },
      {
        name: 'zone',
        value: 'ZONE',
        text: 'The zone that names are told relative to. Else what DNS says, else a guess.',
      },
    ],
    summary: 'Show the DNS records that the relay needs',
    text:
      'Each is graded: without what must be there mail does not get through. The DKIM keys are made where there are ' +
      'none; the addresses are the public ones of this machine, or those that DNS has.',
    run: async (call) => (await import('./dns-show.ts')).dnsShow(call),
  },
  {
    name: 'dns check',
    flags: [
      configFlag,
      {
        name: 'zone',
        value: 'ZONE',
        text: 'The zone that names are told relative to. Else what DNS says, else a guess.',
      },
    ],
    summary: 'Compare what DNS has with what the relay needs',
    text:
      'Asks the name servers of the zone themselves, so that a change is seen at once. Says for each record what is ' +
      'wanted, what is there, and what to type. The exit code is 1 when something that must be there is not, or could ' +
      'not be asked for.',
    run: async (call) => (await import('./dns-check.ts')).dnsCheck(call),
  },
  {
    name: 'doctor',
    flags: [configFlag],
    summary: 'Look at everything that a relay needs of its machine and its network',
    text:
      'Ports, outgoing mail, certificate, DNS, clock, disk, memory, file limit, store, and more; with or without the ' +
      'relay running. The output has no secrets and is fit for a bug report. The exit code is 1 when something that ' +
      'must be is not.',
    run: async (call) => (await import('./doctor.ts')).doctor(call),
  },
  {
    name: 'webdev',
    flags: [
      configFlag,
      {
        name: 'port',
        value: 'PORT',
        text: 'The port on this machine; 8080 unless given, 0 for any free one.',
      },
    ],
    summary: 'Show the web pages while you edit them',
    text:
      'Serves the pages of `www_folder`, or those that come with Teal, on this machine alone and without TLS, until ' +
      'it gets SIGINT or SIGTERM. A page that is open in a browser is loaded anew every two seconds. No relay runs; ' +
      'links and codes lead to the relay of `mail_domain`.',
    run: async (call) => (await import('./webdev.ts')).webdev(call),
  },
  {
    name: 'help',
    words: { name: 'COMMAND', most: 2, text: 'The command to explain.' },
    flags: [],
    summary: 'List the commands, or explain one of them',
    text: 'The same as `--help` behind a command.',
    run: (call) => help(commands, call),
  },
  {
    name: 'version',
    flags: [],
    summary: 'Print the versions of Teal and of Node',
    text: 'The same as `teal --version`.',
    run: version,
  },
];
