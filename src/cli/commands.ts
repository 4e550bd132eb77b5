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
