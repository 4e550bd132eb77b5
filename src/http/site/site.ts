import type { NewAccounts } from '../../accounts/new-account.ts';
import type { Addresses } from '../addresses.ts';
import { renderPage } from './page.ts';
import { bundledPages } from './source.ts';
import type { PageSource } from './source.ts';
import type { Values } from './template.ts';
import { commonValues, createInvitation, invites } from './values.ts';
import type { SiteFacts } from './values.ts';

export interface SiteParts {
  readonly addresses: Addresses;
  readonly newAccounts: NewAccounts;
  readonly source: PageSource;
  readonly facts: SiteFacts;
}

export interface SitePage {
  readonly html: string;
  /** Whether it comes with Teal, so that we know what it needs of the browser. */
  readonly bundled: boolean;
  /** For this visitor alone. */
  readonly personal: boolean;
}

/** The pages that are made from Markdown. */
export interface Site {
  /** Undefined where there is none of that name. */
  page(name: string): Promise<SitePage | undefined>;
  /** `invite` filled in with these values: the operator's where there is one, else the one that comes with Teal. */
  invitationPage(values: Values): Promise<SitePage>;
}

export function createSite({ addresses, newAccounts, source, facts }: SiteParts): Site {
  const invitation = createInvitation(addresses, newAccounts);
  const render = (name: string, markdown: string, values: Values) =>
    renderPage(name, markdown, addresses.host, { ...commonValues(addresses, facts), ...values });
  return {
    page: async (name) => {
      const markdown = await source.markdown(name);
      if (markdown === undefined) return undefined;
      const { values, personal } = invites(markdown) ? await invitation() : { values: {}, personal: false };
      return { html: render(name, markdown, values), bundled: source.bundled, personal };
    },
    invitationPage: async (values) => {
      const own = await source.markdown('invite');
      const markdown = own ?? (await bundledPages().markdown('invite')) ?? '';
      const bundled = source.bundled || own === undefined;
      return { html: render('invite', markdown, values), bundled, personal: true };
    },
  };
}
