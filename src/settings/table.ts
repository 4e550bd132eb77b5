import { mailDomainType } from './mail-domain.ts';
import { noted, optionalSetting, setting } from './setting.ts';
import type { SettingsOf } from './setting.ts';
import {
  MEBIBYTE,
  certAndKeyPaths,
  databaseName,
  decimalNumber,
  domainList,
  dkimSelector,
  freeText,
  ipAddress,
  mailAddress,
  mongodbUrl,
  networkList,
  oneOf,
  optionalPort,
  path,
  port,
  redisUrl,
  serverList,
  size,
  url,
  wholeNumber,
  yesNo,
} from './value-types.ts';

/**
 * Every setting there is: parsing, defaults, ranges, `teal config show`, config/chatmail.example.ini and
 * docs/settings.md come from here and from nowhere else. Keys and defaults are those of upstream's chatmail.ini
 * wherever it has the setting (relay.md 1; upstream chatmaild/config.py).
 */
export const table = {
  mail_domain: optionalSetting({
    group: 'domain',
    type: mailDomainType,
    unset: 'a trial relay on this machine alone, for the domain `_teal.test`',
    example: 'chat.example.org',
    aliases: ['MAIL_DOMAIN'],
    text:
      'The domain of every address of this relay. A name that starts with an underscore, or a bare IPv4 address, ' +
      'makes a relay with a self-signed certificate; addresses then end in the name, or in the IPv4 address in ' +
      'square brackets. It cannot be changed once there is data.',
  }),

  dkim_selector_rsa: setting({
    group: 'domain',
    type: dkimSelector,
    default: 'opendkim',
    text:
      'The selector of the RSA key that signs outgoing mail: its record is `SELECTOR._domainkey.` and the domain. ' +
      'The key is made when there is none for the selector. The default is what other chatmail relays use.',
  }),
  dkim_selector_ed25519: setting({
    group: 'domain',
    type: dkimSelector,
    default: 'ed25519',
    text: 'The same for the Ed25519 key, which signs beside the RSA key.',
  }),

  max_user_send_per_minute: setting({
    group: 'accounts',
    type: wholeNumber(1, 100_000),
    default: '60',
    text: 'Messages that one account may send in a minute, on average.',
  }),
  max_user_send_burst_size: setting({
    group: 'accounts',
    type: wholeNumber(1, 100_000),
    default: '10',
    text: 'Messages that one account may send at once before max_user_send_per_minute counts.',
  }),
  max_user_recipients_per_hour: setting({
    group: 'accounts',
    type: wholeNumber(1, 100_000_000),
    default: '10000',
    text: 'Recipients that one account may write to within an hour, over all its messages.',
  }),
  max_mailbox_size: setting({
    group: 'accounts',
    type: size('mebibytes', MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    default: '500M',
    text:
      'Mail that one account may keep. The oldest messages go by themselves before that much is there, so that ' +
      'mailboxes do not run full.',
  }),
  max_message_size: setting({
    group: 'accounts',
    type: size('bytes', 65_536, 256 * MEBIBYTE),
    default: '31457280',
    text: 'The largest message that is taken, in bytes.',
  }),
  delete_mails_after: setting({
    group: 'accounts',
    type: wholeNumber(1, 36_500, 'days'),
    default: '20',
    acts: false,
    text: 'Days after which every message is deleted.',
  }),
  delete_large_after: setting({
    group: 'accounts',
    type: wholeNumber(1, 36_500, 'days'),
    default: '7',
    acts: false,
    text: 'Days after which messages of more than 200000 bytes are deleted.',
  }),
  delete_inactive_users_after: setting({
    group: 'accounts',
    type: wholeNumber(1, 36_500, 'days'),
    default: '90',
    acts: false,
    text: 'Days without a login after which an account is deleted with all its mail.',
  }),
  // RFC 5321 4.5.3.1.1: a local part has at most 64 octets.
  username_min_length: setting({
    group: 'accounts',
    type: wholeNumber(1, 64),
    default: '9',
    text: 'The fewest characters before the @ of a new account. Delta Chat makes names of 9.',
  }),
  username_max_length: setting({
    group: 'accounts',
    type: wholeNumber(1, 64),
    default: '9',
    text: 'The most characters before the @ of a new account. Delta Chat makes names of 9.',
  }),
  password_min_length: setting({
    group: 'accounts',
    type: wholeNumber(1, 128),
    default: '9',
    text: 'The fewest characters in the password of a new account.',
  }),

  registration: setting({
    group: 'accounts',
    type: oneOf('open', 'closed', 'token'),
    default: 'open',
    text:
      'open: whoever comes gets an account. closed: nobody does. token: who has an invitation, which `teal token add` ' +
      'makes (docs/registration.md). Accounts that exist go on working. While there is a file named nocreate in data_dir, registration is closed, too; that acts at once.',
  }),
  refuse_automatic_accounts: setting({
    group: 'accounts',
    type: yesNo,
    default: 'false',
    text: 'No new account for a Delta Chat that adds relays to a profile by itself. It marks those accounts.',
  }),
  max_new_accounts: setting({
    group: 'accounts',
    type: wholeNumber(0, 1_000_000),
    default: '1000',
    text: 'New accounts within an hour, over all. 0: as many as come.',
  }),
  max_new_accounts_per_network: setting({
    group: 'accounts',
    type: wholeNumber(0, 1_000_000),
    default: '100',
    text:
      'New accounts within an hour from one IPv4 address or one IPv6 /64. A private address is not counted: ' +
      'it is a gateway or a proxy, with everybody behind it. 0: as many as come.',
  }),

  max_load_1m: setting({
    group: 'system',
    type: decimalNumber(0, 100_000),
    default: '5',
    text:
      'No new accounts while the load average of the last minute is above this; those that exist go on working. ' +
      'It counts processes that wait for the disk as well as for a CPU.',
  }),
  min_available_memory: setting({
    group: 'system',
    type: size('mebibytes', 0, 1024 * 1024 * MEBIBYTE),
    default: '200M',
    text: 'No new accounts while less memory than this is available.',
  }),
  min_free_disk_space: setting({
    group: 'system',
    type: size('mebibytes', 0, 1024 * 1024 * 1024 * MEBIBYTE),
    default: '1G',
    text: 'No new accounts while less than this is free on the disk of data_dir.',
  }),
  max_imap_connections: setting({
    group: 'system',
    type: wholeNumber(1, 1_000_000),
    default: '10000',
    text: 'IMAP connections open at the same time.',
  }),
  max_smtp_connections: setting({
    group: 'system',
    type: wholeNumber(1, 1_000_000),
    default: '1000',
    text: 'SMTP connections open at the same time, on each of the ports. One network address may hold a fifth of them.',
  }),

  tls_external_cert_and_key: setting({
    group: 'certificates',
    type: certAndKeyPaths,
    default: '',
    text:
      'Two files in PEM, the certificate chain and its key, kept by something else, for instance certbot. ' +
      'Teal reads them again when they change. When empty, Teal gets a certificate from acme_directory by itself, or ' +
      'signs its own where no authority can: for names that start with an underscore and addresses.',
  }),
  acme_directory: setting({
    group: 'certificates',
    type: url(),
    default: 'https://acme-v02.api.letsencrypt.org/directory',
    text:
      'The ACME directory of the certificate authority; the default is Let’s Encrypt. To try things out, its ' +
      'staging directory is https://acme-staging-v02.api.letsencrypt.org/directory.',
  }),
  acme_terms_agreed: setting({
    group: 'certificates',
    type: yesNo,
    default: 'true',
    text:
      'You agree to the terms of service of the certificate authority (their address is in the log). ' +
      'If not, no account is made with it, and the certificate is self-signed.',
  }),
  acme_email: setting({
    group: 'certificates',
    type: mailAddress,
    default: '',
    aliases: ['ACME_EMAIL'],
    text: 'Where the certificate authority may write to about the certificates of this relay.',
  }),

  tls_unverified_domains: setting({
    group: 'federation',
    type: domainList,
    default: '',
    text:
      'Domains whose mail servers need no valid certificate when mail is sent to them: it is encrypted all the same. ' +
      'That holds for names that start with an underscore and for addresses in any case.',
  }),
  mta_sts: setting({
    group: 'federation',
    type: oneOf('report', 'enforce', 'off'),
    default: 'report',
    text:
      'What becomes of the MTA-STS policy of a domain that mail is sent to. report: where DNS names a mail server ' +
      'that the policy does not, the log tells. enforce: such a server gets no mail. off: nobody is asked for a ' +
      'policy. A valid certificate is asked for in any case.',
  }),
  dane: setting({
    group: 'federation',
    type: oneOf('report', 'enforce', 'off'),
    default: 'report',
    text:
      'What becomes of the DANE records (TLSA) of mail servers that mail is sent to. They count where the DNS server ' +
      'of dns_servers, or of the machine, checks DNSSEC and says so; it should run on this machine. report: where a ' +
      'certificate does not fit them, the log tells. enforce: such a server gets no mail, one whose certificate fits ' +
      'needs no authority for it, and mail goes to port 25 alone there. off: nobody is asked for them.',
  }),
  maximal_queue_lifetime: setting({
    group: 'federation',
    type: wholeNumber(1, 30, 'days'),
    default: '2',
    text:
      'Days for which mail to another relay is tried again while that does not take it. Then its sender gets it back ' +
      'as not delivered.',
  }),

  listen_address: optionalSetting({
    group: 'network',
    type: ipAddress,
    unset: 'every address of the machine',
    example: '203.0.113.5',
    text: 'The one address of this machine to listen on.',
  }),
  disable_ipv6: setting({
    group: 'network',
    type: yesNo,
    default: 'false',
    text: 'Do without IPv6: listen on IPv4 addresses only, unless listen_address is given, and bring mail to other relays by IPv4.',
  }),
  smtp_port: setting({
    group: 'network',
    type: port,
    default: '25',
    text: 'Mail from other servers (STARTTLS).',
  }),
  submission_port: setting({
    group: 'network',
    type: port,
    default: '587',
    text: 'Mail from users (STARTTLS).',
  }),
  submissions_port: setting({
    group: 'network',
    type: port,
    default: '465',
    text: 'Mail from users (TLS from the first byte).',
  }),
  imap_port: setting({
    group: 'network',
    type: port,
    default: '143',
    text: 'IMAP (STARTTLS).',
  }),
  imaps_port: setting({
    group: 'network',
    type: port,
    default: '993',
    text: 'IMAP (TLS from the first byte).',
  }),
  http_port: setting({
    group: 'network',
    type: optionalPort,
    default: '80',
    text: 'HTTP: the challenges of the certificate authority, and a redirect to HTTPS.',
  }),
  https_port: setting({
    group: 'network',
    type: optionalPort,
    default: '443',
    text: 'HTTPS: the web pages and new accounts; IMAP and submission for clients that ask for them by ALPN.',
  }),
  health_port: setting({
    group: 'network',
    type: optionalPort,
    default: 'off',
    text:
      'Where a supervisor on this machine asks how Teal is: http://127.0.0.1:PORT/health/live and /health/ready, the ' +
      'second with 503 while the store does not answer.',
  }),
  metrics_port: setting({
    group: 'network',
    type: optionalPort,
    default: 'off',
    text:
      'Where Prometheus reads the metrics of docs/metrics.md: http://METRICS_ADDRESS:PORT/metrics, without TLS and ' +
      'without a password.',
  }),
  metrics_address: setting({
    group: 'network',
    type: ipAddress,
    default: '127.0.0.1',
    text:
      'The address for metrics_port, where nobody but Prometheus should come: of loopback, of a private network, or in a ' +
      'container 0.0.0.0 with the port left out of what is published.',
  }),
  proxy_protocol_from: setting({
    group: 'network',
    type: networkList,
    default: '',
    text:
      'Proxies in front of this relay that begin each connection with a PROXY header (version 1 or 2), which says who ' +
      'the client is (docs/proxies.md). From them the header is required on every port but health_port and ' +
      'metrics_port, from others it is not read. Name the machines of proxies and no others: whoever is listed can pass for any address.',
  }),
  dns_servers: setting({
    group: 'network',
    type: serverList,
    default: '',
    text:
      'The DNS servers to ask, and no others. When empty, those of the machine (/etc/resolv.conf). ' +
      'Each is host:port.',
  }),

  tls_report_address: setting({
    group: 'network',
    type: mailAddress,
    default: '',
    text:
      'Where other mail servers report trouble with the TLS of this relay (RFC 8460): goes into the zone that `teal dns ' +
      'show` prints. Reports come unencrypted, so it has to be an address elsewhere. When empty, none are asked for.',
  }),

  imap_compress: setting({
    group: 'imap',
    type: yesNo,
    default: 'false',
    text: 'Offer COMPRESS=DEFLATE (RFC 4978): fewer bytes on the wire, more memory for every connection.',
  }),

  data_dir: setting({
    group: 'data',
    type: path(),
    default: 'data',
    text:
      'The directory with everything that must outlive a restart: mail, accounts, keys. ' +
      'It is made when it is not there; a relative path starts where Teal was started.',
  }),
  store: setting({
    group: 'data',
    type: oneOf('sqlite', 'wildduck'),
    default: 'sqlite',
    text:
      'What keeps the mail: sqlite is a database in data_dir; wildduck is WildDuck on MongoDB and Redis, for several ' +
      'Teal processes on one domain (docs/scale-out.md). `teal move` takes all there is from one to the other.',
  }),
  mongodb_url: optionalSetting({
    group: 'data',
    type: mongodbUrl,
    unset: 'no MongoDB; the store wildduck needs one',
    example: 'mongodb://teal:password@db1.example.org,db2.example.org/?replicaSet=rs0&authSource=admin',
    secret: true,
    text: 'Where MongoDB is, for the store wildduck.',
  }),
  mongodb_database: setting({
    group: 'data',
    type: databaseName,
    default: 'teal',
    text: 'The database in MongoDB that holds everything of this relay. All Teal processes of a domain name the same.',
  }),
  redis_url: optionalSetting({
    group: 'data',
    type: redisUrl,
    unset: 'no Redis; the store wildduck needs one',
    example: 'redis://:password@redis.example.org:6379/0',
    secret: true,
    text:
      'Where Redis is, for the store wildduck. It carries news between the Teal processes and holds nothing that ' +
      'cannot be lost.',
  }),
  notifier_url: setting({
    group: 'data',
    type: url(),
    default: 'https://notifications.delta.chat/notify',
    text: 'Where the tokens of devices with new mail are posted, so that the app there wakes up.',
  }),
  log_level: setting({
    group: 'data',
    type: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    text: 'The least important events that are logged.',
  }),

  www_folder: setting({
    group: 'web',
    type: path(true),
    default: '',
    text:
      'A directory with web pages of your own. When empty, the pages that come with Teal; where it does not exist, ' +
      'there are no pages. With src/index.md in it, pages are made from the Markdown in src, else it is served as ' +
      'it is. `teal webdev` shows them while you edit.',
  }),
  iroh_relay: optionalSetting({
    group: 'web',
    type: url(true),
    unset: 'this relay, where iroh_upstream is set; else the one that clients use by themselves',
    example: 'https://iroh.example.org',
    text:
      'The iroh relay that clients are told to use for real-time channels of apps in a chat. ' +
      'Empty: they are told none.',
  }),
  iroh_upstream: optionalSetting({
    group: 'web',
    type: url(false),
    unset: 'no iroh relay behind this one',
    example: 'http://127.0.0.1:3340',
    text:
      'An iroh relay of your own, which Teal makes reachable on https_port: requests to /relay, /ping and ' +
      '/generate_204 are passed on to it.',
  }),

  privacy_postal: setting({
    group: 'privacy',
    type: freeText,
    default: '',
    text: 'Postal address of the privacy contact. Further lines are indented.',
  }),
  privacy_mail: setting({
    group: 'privacy',
    type: mailAddress,
    default: '',
    text: 'Mail address of the privacy contact. Clients show it as the contact of the relay (METADATA /shared/admin).',
  }),
  privacy_pdo: setting({
    group: 'privacy',
    type: freeText,
    default: '',
    text: 'Postal address of the privacy data officer. Further lines are indented.',
  }),
  privacy_supervisor: setting({
    group: 'privacy',
    type: freeText,
    default: '',
    text: 'Postal address of the authority that supervises privacy. Further lines are indented.',
  }),

  filtermail_smtp_port: noted('one process filters mail, there is no port between its parts'),
  filtermail_smtp_port_incoming: noted('one process filters mail, there is no port between its parts'),
  filtermail_http_port: noted('one process filters mail, there is no port between its parts'),
  filtermail_http_port_incoming: noted('one process filters mail, there is no port between its parts'),
  filtermail_lmtp_port_transport: noted('one process sends mail, there is no port between its parts'),
  filtermail_host: noted('one process filters mail, there is no port between its parts'),
  postfix_host: noted('there is no Postfix'),
  postfix_reinject_port: noted('there is no Postfix'),
  postfix_reinject_port_incoming: noted('there is no Postfix'),
  mailboxes_dir: noted('mail is kept in data_dir'),
  passdb_path: noted('accounts are kept in data_dir'),
  imap_rawlog: noted('what clients say is never logged'),
  mtail_address: noted('nothing is counted from log files'),
  turn_socket_path: noted('no TURN service is asked for credentials'),
  passthrough_senders: noted('cleartext is let through for nobody; upstream removed the key in 1.11 as well'),
  passthrough_recipients: noted(
    'cleartext is let through to nobody; upstream removed the key in 1.11 as well',
  ),
} as const;

/**
 * The relay's settings, checked. Sizes are in bytes, `delete_…_after` in days, paths absolute. `mail_domain` is
 * undefined when none is set: then Teal runs its trial.
 */
export type Settings = SettingsOf<typeof table>;
