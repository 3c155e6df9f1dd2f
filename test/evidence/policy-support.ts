/** Policies with one rule, and evidence to judge by them. */

import type { PublicKey } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { buildBundle } from '../../shared/evidence/bundle.ts';
import { verifyEvidence } from '../../shared/evidence/evidence.ts';
import { BUILDERS, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { type HostPolicy, parseHostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { judgePolicy } from '../../shared/evidence/policy/judge.ts';
import type { PolicyVerdict } from '../../shared/evidence/policy/verdict.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import {
  acme,
  bytesOf,
  EDU,
  ed25519Signer,
  envelopeOf,
  make,
  NOW,
  PROVENANCE,
  statementOf,
  textOf,
  withStatements,
} from './support.ts';

export const lab = ed25519Signer('lab');
export const second = ed25519Signer('second lab');
export const made = await make();

/** A policy with one rule for acme, and two laboratories. */
export function policyWith(rule: JsonObject, top: JsonObject = {}): HostPolicy {
  return parseHostPolicy(bytesOf(document([{ namespace: 'acme', ...rule }], top)));
}

export function document(rules: readonly JsonObject[], top: JsonObject = {}): JsonObject {
  return {
    schema: 'ironport.host-policy/v1',
    version: 3,
    keys: { lab: keyObject(lab.key), second: keyObject(second.key) },
    evidence: { otherwise: 'refuse', rules: [...rules] },
    ...top,
  };
}

export interface Given {
  readonly statements?: readonly Uint8Array[];
  readonly provenance?: JsonObject;
  readonly sbom?: (document: ReturnType<typeof JSON.parse>) => void;
  readonly active?: readonly PublicKey[];
  readonly crypto?: typeof platformCrypto;
}

export const provenanceLine = (provenance: JsonObject = PROVENANCE, signer: Signer = acme) =>
  envelopeOf(statementOf(EDU, PREDICATE_TYPES.provenance, provenance), signer);

export async function judge(
  policy: HostPolicy | undefined,
  given: Given = {},
): Promise<PolicyVerdict> {
  const { crypto = platformCrypto, active = [acme.key] } = given;
  const sbom = JSON.parse(textOf(made.sbom));
  given.sbom?.(sbom);
  const lines = [await provenanceLine(given.provenance), ...(given.statements ?? [])];
  const input = withStatements({ ...made, sbom: bytesOf(sbom) }, buildBundle(lines));
  const vendorKeys = { active, retired: [] };
  const evidence = verifyEvidence(crypto, {
    ...input,
    evidenceKeys: vendorKeys,
    otherKeys: [...(policy?.keys.values() ?? [])],
  });
  const { sha256, length } = EDU;
  return judgePolicy(policy, { crypto, evidence, sha256, length, vendorKeys, now: NOW });
}

/** The rules that do not hold, with their reasons. */
export const failing = ({ rules }: PolicyVerdict): [string, string][] =>
  rules.filter(({ holds }) => !holds).map(({ rule, reason }) => [rule, reason]);

export const SOURCE = 'git+https://git.acme.example/edu';
export const builder = (level = 2, change: JsonObject = {}) => ({
  builders: [{ id: BUILDERS.byHand, signers: ['vendor'], level, ...change }],
});
export const statement = (type: string, predicate: JsonObject, signer: Signer = lab) =>
  envelopeOf(statementOf(EDU, type, predicate), signer);
export const tested = (result: string, signer: Signer = lab) =>
  statement(PREDICATE_TYPES.testResult, { result, configuration: [] }, signer);
export const review = (result: string, signer: Signer = lab) =>
  statement(PREDICATE_TYPES.review, { result }, signer);
