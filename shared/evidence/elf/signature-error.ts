import { IronError } from '../../errors.ts';

/** What is wrong with a signature at the end of a module, before anybody verifies it. */
export function badSignature(why: string): IronError {
  return new IronError(
    'E_SCHEMA',
    `the signature at the end of the module cannot be read: ${why}`,
    {
      hint: 'nothing was changed',
    },
  );
}
