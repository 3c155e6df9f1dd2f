/** A chain of roots that is put into a tree is vouched for by its first one, and by no other. */

import { IronError } from '../../shared/errors.ts';

/**
 * `E_NO_PIN` for a root that is not the first. A later root says nothing about those before it: whoever
 * writes a root 2 that names the keys of the true root 3 beside one of their own, with a threshold of
 * one, has a chain that leads to it, and hosts that begin at root 1 would be served what they wrote.
 * @param hint how to come by the first, or to do without
 */
export function demandFirstRoot({ version }: { readonly version: number }, hint: string): void {
  if (version === 1) return;
  throw new IronError('E_NO_PIN', `the given root has version ${version}, and root 1 is needed`, {
    why: 'hosts that begin at root 1 are served the whole chain, and a later root cannot tell a true root 1 from a forged one: both may lead to it',
    hint: `nothing was written; ${hint}`,
    context: { version },
  });
}
