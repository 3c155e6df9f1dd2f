/** The description as a page: one file, nothing loaded, nothing that runs. */

import { createHash } from 'node:crypto';
import { CODES } from '../../../shared/errors.ts';
import { api } from '../../../shared/layout.ts';
import { Html, html } from '../html.ts';
import { type DescribedOperation, type Description, OPERATIONS } from './document.ts';
import { type Operation, TAGS, type Tag } from './operation.ts';

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
h2 { margin-top: 2.5rem } h3 { margin: 0; font-size: 1rem } article { border-top: 1px solid #ccc;
  padding: 1rem 0 } table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
caption { text-align: left; font-weight: 600 } th, td { text-align: left; vertical-align: top;
  padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; overflow-wrap: anywhere }
code { font-size: .9em } pre { overflow-x: auto; background: #f3f3f3; padding: .8rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700 }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616 }
  a { color: #8ab4f8 } th, td, article { border-color: #444 } pre { background: #222 } }
`;

/** Nothing is loaded, nothing runs, nothing is sent; the one style is known by its digest. */
export const DESCRIPTION_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const CALLERS: Readonly<Record<Operation['caller'], string>> = {
  anybody: 'anybody',
  vendor: 'a vendor, by a signed request',
  owner: 'the owner of the machine, by the token',
  first: 'anybody; the owner of the machine for the first root',
};

/** The whole page. */
export function descriptionPage(document: Description): string {
  const tags = Object.keys(TAGS) as Tag[];
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>IronPort repository: HTTP API</title><style>${new Html(STYLE)}</style></head><body>
<h1>IronPort repository: HTTP API</h1>
${paragraphs(String(document.info.description))}
<p>For programs: <a href="${api.description}">openapi.json</a> (OpenAPI ${document.openapi}). <a href="/">What is published here</a>.</p>
<nav><ul>${tags.map((tag) => html`<li><a href="#${tag}">${tag}</a></li>`)}<li><a href="#security">signing a request</a></li><li><a href="#schemas">schemas</a></li><li><a href="#codes">error codes</a></li></ul></nav>
${tags.map((tag) => tagSection(document, tag))}
${securitySection(document)}
<h2 id="schemas">Schemas</h2>
${Object.entries(document.components.schemas ?? {}).map(schemaBlock)}
${codesTable()}
</body></html>
`;
  return page.text;
}

function tagSection(document: Description, tag: Tag): Html {
  const operations = OPERATIONS.filter((operation) => operation.tag === tag);
  return html`<h2 id="${tag}">${tag}</h2>
<p>${TAGS[tag]}</p>
${operations.map((one) => operationBlock(one, document.paths[one.path]?.[one.method] as DescribedOperation))}`;
}

function operationBlock(operation: Operation, described: DescribedOperation): Html {
  const { id, method, path, summary, description, caller, parameters = [], body } = operation;
  const listener =
    operation.listener === undefined
      ? html``
      : html`<p>${operation.listener === 'both' ? 'Also' : 'Only'} on the operators’ own listener.</p>`;
  return html`<article id="${id}"><h3><span class="method">${method.toUpperCase()}</span> <code>${path}</code></h3>
<p>${summary}. Asked by: ${CALLERS[caller]}.${description === undefined ? '' : ` ${description}`}</p>${listener}
${parameters.length === 0 ? html`` : parameterTable(parameters)}${
  body === undefined
    ? html``
    : html`<p>Body: <code>${body.type}</code>${body.schema === undefined ? html`` : html`, ${schemaLink(body.schema)}`}</p>
`
}${answersTable(described)}</article>
`;
}

function parameterTable(parameters: NonNullable<Operation['parameters']>): Html {
  return html`<table><caption>Parameters</caption>
${parameters.map(
  (
    one,
  ) => html`<tr><th scope="row"><code>${one.name}</code></th><td>${one.in}</td><td>${inline(one.description)}</td></tr>
`,
)}</table>
`;
}

function answersTable({ responses }: DescribedOperation): Html {
  return html`<table><caption>Answers</caption>
${Object.entries(responses).map(
  ([status, { description, content }]) =>
    html`<tr><th scope="row">${status}</th><td>${inline(description)}</td><td>${contentLinks(content)}</td></tr>
`,
)}</table>`;
}

function contentLinks(content: DescribedOperation['responses'][string]['content']): Html {
  return html`${Object.entries(content ?? {}).map(([type, { schema }]) => {
    const names = JSON.stringify(schema).matchAll(/#\/components\/schemas\/([A-Za-z]+)/g);
    const links = Array.from(names, ([, name]) => html` ${schemaLink(name as string)}`);
    return html`<code>${type}</code>${links}`;
  })}`;
}

function schemaLink(name: string): Html {
  return html`<a href="#schema-${name}">${name}</a>`;
}

function schemaBlock([name, schema]: [string, object]): Html {
  return html`<h3 id="schema-${name}">${name}</h3>
<pre>${JSON.stringify(schema, null, 2)}</pre>
`;
}

function securitySection({ components }: Description): Html {
  const schemes = Object.entries(components.securitySchemes ?? {}) as [
    string,
    { readonly name?: string; readonly description: string },
  ][];
  return html`<h2 id="security">Signing a request</h2>
${schemes.map(
  ([id, { name, description }]) => html`<h3><code>${name ?? `Authorization (${id})`}</code></h3>
${paragraphs(description)}`,
)}`;
}

function codesTable(): Html {
  return html`<h2 id="codes">Error codes</h2>
<table><tr><th scope="col">code</th><th scope="col">status</th><th scope="col">means</th></tr>
${Object.entries(CODES).map(
  ([
    code,
    { http, meaning },
  ]) => html`<tr><th scope="row"><code>${code}</code></th><td>${http}</td><td>${meaning}</td></tr>
`,
)}</table>`;
}

/** Paragraphs and lists, of the little Markdown that descriptions are written in. */
function paragraphs(text: string): Html {
  return html`${text.split('\n\n').map((block) => {
    if (!block.startsWith('- '))
      return html`<p>${inline(block)}</p>
`;
    const items = block.split('\n').map((line) => html`<li>${inline(line.slice(2))}</li>`);
    return html`<ul>${items}</ul>
`;
  })}`;
}

/** Code between backticks. */
function inline(text: string): Html {
  const parts = text.split('`');
  return html`${parts.map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : html`${part}`))}`;
}
