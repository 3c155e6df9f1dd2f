/** `ironport-agent receipt show` and `receipt verify`: what a device was held to, signed by its host. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { ReadReceipt } from '../../shared/manifest/receipt.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { loadReceipt, verifyReceipt } from '../receipt.ts';
import { argument, DEVICE, deviceOf, openAgent, STATE } from './options.ts';

export const receiptShowCommand: CommandSpec = {
  name: 'receipt show',
  summary: 'show what a bound device is held to, or write the signed receipt into a file',
  description:
    'The receipt is an in-toto statement in a DSSE envelope, signed by this host when the device was ' +
    'bound. It is kept for as long as the binding; --out keeps a copy.',
  options: [DEVICE, STATE, { flags: '-o, --out <file>', description: 'file for the envelope' }],
  examples: ['ironport-agent receipt show --device 0000:00:05.0 --out receipt.json'],
  schema: 'ironport-agent/receipt-show/v1',
  async run(context) {
    const { bytes, receipt } = await loadReceipt(openAgent(context), deviceOf(context));
    const out = context.text('out') ?? null;
    if (out !== null) await writeFileAtomic(out, bytes);
    return { data: { out, ...receiptData(receipt) }, text: receiptText(receipt) };
  },
};

export const receiptVerifyCommand: CommandSpec = {
  name: 'receipt verify',
  summary: 'check that a host signed a receipt, and show it',
  arguments: [{ name: 'file', description: 'the receipt' }],
  options: [
    { flags: '-k, --key <file>', description: "the host's public key for grants", required: true },
  ],
  examples: ['ironport-agent receipt verify receipt.json --key grant.pub.json'],
  schema: 'ironport-agent/receipt-verify/v1',
  async run(context) {
    const bytes = await readFileCapped(argument(context, 0, 'FILE'), AGENT_LIMITS.receipt);
    const key = await loadPublicKey(context.need('key'));
    const receipt = verifyReceipt(platformCrypto, bytes, key);
    return { data: receiptData(receipt), text: `signed by this key\n${receiptText(receipt)}` };
  },
};

function receiptData({ artifact, device, grantSha256, predicate }: ReadReceipt) {
  return { artifact, device, grant_sha256: grantSha256, receipt: predicate };
}

function receiptText({ artifact, device, grantSha256, predicate }: ReadReceipt): string {
  return [
    `driver   ${artifact.path}`,
    `device   ${device}`,
    `grant    ${grantSha256}`,
    `receipt  ${JSON.stringify(predicate)}`,
  ].join('\n');
}
