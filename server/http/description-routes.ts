/** What the API is: for programs, and as a page. Both are the same for every service of a version. */

import type { FastifyInstance } from 'fastify';
import { api } from '../../shared/layout.ts';
import { description } from './openapi/document.ts';
import { DESCRIPTION_POLICY, descriptionPage } from './openapi/page.ts';

export function addDescriptionRoutes(app: FastifyInstance): void {
  let made: { readonly json: string; readonly page: string } | undefined;
  const texts = (): NonNullable<typeof made> => {
    if (made === undefined) {
      const document = description();
      made = { json: `${JSON.stringify(document)}\n`, page: descriptionPage(document) };
    }
    return made;
  };
  app.get(api.description, async (_request, reply) =>
    reply
      .type('application/json')
      .header('cache-control', 'no-cache')
      // It says nothing that is not in the sources; tools in browsers may read it.
      .header('access-control-allow-origin', '*')
      .header('x-content-type-options', 'nosniff')
      .send(texts().json),
  );
  app.get(api.descriptionPage, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', DESCRIPTION_POLICY)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .header('cache-control', 'no-cache')
      .send(texts().page),
  );
}
