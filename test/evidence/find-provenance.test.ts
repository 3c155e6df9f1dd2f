/** Which line of the statements counts, and what is said when none does. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { buildBundle } from '../../shared/evidence/bundle.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { verifyEvidence } from '../../shared/evidence/evidence.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../../shared/evidence/identifiers.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  acme,
  artifactOf,
  duplicated,
  EDU,
  envelopeOf,
  make,
  other,
  statementOf,
  withStatements,
} from './support.ts';

const made = await make();
const EDU_2 = artifactOf('acme/edu/1.1.0/edu.js', 'version 1.1.0');

t.test('the right reason is told when lines fail for different ones', async (t) => {
  const reasonOf = (...envelopes: Uint8Array[]) => {
    try {
      verifyEvidence(platformCrypto, withStatements(made, buildBundle(envelopes)));
    } catch (error) {
      if (isIronError(error)) return [error.context.reason, error.why];
    }
    return [];
  };
  const byOther = await envelopeOf(statementOf(), other);
  const review = await envelopeOf(statementOf(EDU, 'https://acme.example/review/v1'));
  const older = await envelopeOf(statementOf(EDU_2));
  t.match(reasonOf(review, byOther), ['signer', /^line 1: .*review.*; line 2: no signature/]);
  t.match(reasonOf(byOther, older), ['subject', /line 2: no subject has the SHA-256/]);
  t.match(reasonOf(...Array(6).fill(review)), ['predicate-type', /; and 2 more$/]);
});

t.test('lines that do not count do not spoil the one that does', async (t) => {
  const lines = [
    utf8('{"of":"the future"}'),
    await envelopeOf(utf8('{}'), other),
    await envelopeOf(statementOf(EDU_2)),
    await envelopeOf(duplicated(statementOf())),
    await envelopeOf(statementOf()),
  ];
  const verdict = verifyEvidence(platformCrypto, withStatements(made, buildBundle(lines)));
  t.match(verdict.checks.find((check) => check.rule === 'provenance')?.what, /^line 5 /);
  t.ok(verdict.notChecked.some((what) => /^4 other lines of .*\.intoto\.jsonl$/.test(what)));
});

t.test('two signatures of one key are one key in the verdict', async (t) => {
  const envelope = await signEnvelope(IN_TOTO_PAYLOAD_TYPE, statementOf(), [
    { signer: acme, keyid: 'one' },
    { signer: acme, keyid: 'two' },
    { signer: other },
  ]);
  const input = {
    ...withStatements(made, buildBundle([envelope])),
    evidenceKeys: { active: [acme.key, acme.key], retired: [] },
  };
  const by = verifyEvidence(platformCrypto, input).checks.find(
    (check) => check.rule === 'provenance',
  )?.by;
  t.match(by, /^ed25519 [0-9a-f]{64}$/);
});
