/**
 * The page at `/`: what the tree says, for people. It is a convenience and no proof: whoever wants
 * to know verifies, and finds here the files to do it with.
 */

import { createHash } from 'node:crypto';
import { isIronError } from '../../shared/errors.ts';
import { api, toUrlPath, tree } from '../../shared/layout.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';
import type { SignedCommon } from '../../shared/tuf/envelope.ts';
import { formatHardwareId } from '../../shared/tuf/hardware-id.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import { TOP_LEVEL_ROLES } from '../../shared/tuf/names.ts';
import type { RoleKeys } from '../../shared/tuf/role.ts';
import { isOnline, leftOf, passed, type RoleLife } from '../jobs/expiry.ts';
import type { CurrentTree, Published } from '../storage/published.ts';
import { Html, html } from './html.ts';

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
table { border-collapse: collapse; width: 100% } caption { text-align: left; font-weight: 600 }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ccc;
  vertical-align: top; overflow-wrap: anywhere }
code { font-size: .9em } .bad { color: #a00000; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616 }
  a { color: #8ab4f8 } .bad { color: #ff8a80 } th, td { border-color: #444 } }
`;

/** Nothing is loaded, nothing runs, nothing is sent; the one style is known by its digest. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** Targets on one page. */
const PAGE = 500;

/** The page; `?role=acme&page=2` shows more of what a vendor lists. */
export async function statusPage(
  current: CurrentTree,
  now: Instant,
  query: URLSearchParams,
  lives: readonly RoleLife[] = [],
): Promise<string> {
  let body: Html;
  try {
    const published = await current.get();
    body =
      published === undefined
        ? html`<p>Nothing is published here yet. The first root and targets are handed in on the machine itself, with <code>ironport-repo submit</code>.</p>`
        : html`${reminders(lives, now)}${await content(published, now, query)}`;
  } catch (error) {
    if (!isIronError(error)) throw error;
    body = html`<p class="bad">The published tree does not verify. The operator runs <code>ironport-repo fsck</code>.</p>`;
  }
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>IronPort repository</title><style>${new Html(STYLE)}</style></head><body>
<h1>IronPort repository</h1>
${body}
<p>This page is made by the service and proves nothing. <code>ironport-client</code> verifies. Its requests are described <a href="${api.descriptionPage}">here</a>.</p>
</body></html>
`;
  return page.text;
}

async function content(published: Published, now: Instant, query: URLSearchParams): Promise<Html> {
  const vendors = (published.delegations?.roles ?? []).map(({ name }) => name);
  const wanted = query.get('role');
  const shown = wanted === null ? vendors : vendors.filter((name) => name === wanted);
  const page = Math.max(1, Number(query.get('page') ?? 1) || 1);
  const lists: Html[] = [];
  let left = PAGE;
  for (const name of shown) {
    // The rest of the vendors are a link away: a page must not cost what all of them list.
    if (left <= 0) break;
    const section = await vendorSection(published, name, page, now);
    lists.push(section.list);
    left -= section.rows;
  }
  return html`${topLevel(published, now)}${vendorTable(published)}${lists}`;
}

/** Offline roles of whose life half is gone: somebody has to sign. */
function reminders(lives: readonly RoleLife[], now: Instant): Html {
  const rows = lives
    .filter((life) => !isOnline(life.role) && passed(life, now) !== undefined)
    .map((life) => {
      const left = Math.floor(leftOf(life, now));
      return html`<li><span class="bad">${life.role} ${life.version}</span> has ${left} % of its life left, until ${formatInstant(life.expires)}</li>
`;
    });
  return rows.length === 0 ? html`` : html`<h2>To be signed again</h2><ul>${rows}</ul>`;
}

function topLevel(published: Published, now: Instant): Html {
  const rows = TOP_LEVEL_ROLES.map((role) => {
    const file = published[role];
    const path = role === 'timestamp' ? tree.timestamp : tree.metadata(role, file.version);
    return html`<tr><th scope="row"><a href="/${toUrlPath(path)}">${role}</a></th><td>${file.version}</td><td>${expiry(file, now)}</td><td>${keys(published.root.roles[role])}</td></tr>
`;
  });
  return html`<table><caption>Roles</caption>
<tr><th scope="col">role</th><th scope="col">version</th><th scope="col">valid</th><th scope="col">signed by</th></tr>
${rows}</table>
`;
}

function keys({ keyids, threshold }: RoleKeys): Html {
  return html`${threshold} of ${keyids.length}: ${keyids.map((id) => html`<code>${shortKeyId(id)}</code> `)}`;
}

function expiry({ expires }: SignedCommon, now: Instant): Html {
  if (expires <= now) {
    return html`<span class="bad">expired ${formatSpan(now - expires)} ago</span>`;
  }
  return html`until ${formatInstant(expires)} (${formatSpan(expires - now)})`;
}

function vendorTable(published: Published): Html {
  const roles = published.delegations?.roles ?? [];
  const rows = roles.map((role) => {
    const record = published.vendors.get(role.name);
    const hardware = record?.hardwareIds.map(formatHardwareId).join(', ') ?? '';
    return html`<tr><th scope="row"><a href="/?role=${encodeURIComponent(role.name)}">${role.name}</a></th><td>${published.version(role.name)}</td><td>${keys(role)}</td><td>${hardware}</td><td>${record?.contact ?? ''}</td></tr>
`;
  });
  return html`<table><caption>Vendors</caption>
<tr><th scope="col">vendor</th><th scope="col">version</th><th scope="col">signed by</th><th scope="col">hardware</th><th scope="col">contact</th></tr>
${rows}</table>
`;
}

async function vendorSection(
  published: Published,
  name: string,
  page: number,
  now: Instant,
): Promise<{ readonly list: Html; readonly rows: number }> {
  const role = (await published.role(name))?.targets;
  if (role === undefined)
    return { list: html`<h2>${name}</h2><p>Nothing published yet.</p>`, rows: 1 };
  const paths = role.paths();
  const begin = (page - 1) * PAGE;
  const rows = paths.slice(begin, begin + PAGE).map((path) => {
    const entry = role.entry(path);
    const sha256 = entry?.hashes.get('sha256') ?? '';
    const file = toUrlPath(tree.target(path, sha256));
    return html`<tr><td><a href="/${file}">${path}</a></td><td>${entry?.length ?? ''}</td><td><code>${sha256}</code></td></tr>
`;
  });
  const pages = Math.ceil(paths.length / PAGE);
  const more =
    page < pages
      ? html`<p><a href="/?role=${encodeURIComponent(name)}&amp;page=${page + 1}">more</a></p>`
      : html``;
  const list = html`<h2>${name} ${role.version}</h2>
<p><a href="/${toUrlPath(tree.metadata(name, role.version))}">metadata</a>, ${expiry(role, now)}</p>
<table><caption>${paths.length} targets</caption>
<tr><th scope="col">path</th><th scope="col">bytes</th><th scope="col">SHA-256</th></tr>
${rows}</table>${more}
`;
  return { list, rows: rows.length + 1 };
}
