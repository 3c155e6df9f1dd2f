/** A service whose targets name reviewers, and what reviewers and the owner say to it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { withReviewers } from '../../server/ceremony/reviewers.ts';
import { type ReviewPolicy, saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { type ReviewReply, reviewReply } from '../../shared/api/review.ts';
import type { SubmissionReply } from '../../shared/api/upload.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { type Decision, type Reviewed, signReview } from '../../shared/evidence/review.ts';
import { api, data } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { formatMetadata, sign } from '../../shared/tuf/build.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { testKey } from '../support/keys.ts';
import {
  signedRole,
  signedTargets,
  type TestArtifact,
  testArtifact,
} from '../support/repository.ts';
import { type Answer, call, type Running, running } from './support.ts';

/** A service, in this process or in another. */
export type At = Pick<Running, 'home' | 'acme' | 'clock' | 'caller'> & {
  readonly service: Pick<Running['service'], 'url'>;
};

export const [ANNA, BORIS, CLARA] = [testKey('anna'), testKey('boris'), testKey('clara')];

/** The operators' next targets, with these reviewers. */
export async function nameReviewers(
  it: Pick<Running, 'operators' | 'acme' | 'clock' | 'repository'>,
  version: number,
  reviewers: readonly Pick<Signer, 'key'>[],
  threshold: number,
): Promise<void> {
  const plain = parseTargets(
    await signedTargets(it.operators, version - 1, [it.acme], {
      expires: it.clock.now + LIFETIMES.targets,
    }),
    'targets',
  );
  const named = { keys: reviewers.map(({ key }) => key), threshold };
  const tree = withReviewers(plain, named, it.clock.now + LIFETIMES.targets);
  const file = formatMetadata(tree, await sign(platformCrypto, tree, it.operators.targets));
  const { intake, worker } = it.repository;
  const { id } = await intake.submitOperatorFiles([file], false);
  await worker.drain();
  const { state, error } = intake.find(id, undefined);
  if (state !== 'published') throw new Error(`${state}: ${error?.message}`);
}

export async function reviewing(
  t: Test,
  threshold = 1,
  policy: ReviewPolicy = 'all',
  reviewers: readonly Pick<Signer, 'key'>[] = [ANNA, BORIS],
): Promise<Running> {
  const it = await running(t);
  await nameReviewers(it, 2, reviewers, threshold);
  await saveReviewPolicy(it.home, policy);
  return it;
}

/** acme hands in its role with these artifacts; the first answer. */
export async function handIn(
  it: At,
  version: number,
  artifacts: readonly TestArtifact[],
): Promise<SubmissionReply> {
  await it.caller.uploadAll(artifacts);
  const expires = it.clock.now + LIFETIMES.vendor;
  const role = await signedRole(it.acme, version, artifacts, { expires });
  return await it.caller.submitOnly('acme', role);
}

export const artifactOf = (it: At, version = '1.0.0'): Promise<TestArtifact> =>
  testArtifact(it.acme, `acme/edu/${version}/edu.js`, undefined, { now: it.clock.now });

export async function owner(it: At, path: string): Promise<Answer> {
  const { token } = JSON.parse(await readFile(join(it.home, data.service), 'utf8'));
  return await call(it.service.url, 'GET', path, { authorization: `Bearer ${token}` });
}

export async function shown(it: At, id: string): Promise<ReviewReply> {
  const { body } = await owner(it, api.review(id));
  return reviewReply.parse(JSON.parse(body.toString('utf8')));
}

/** A statement about what `review show` shows. */
export async function statement(
  it: At,
  id: string,
  signers: readonly Signer[],
  decision: Partial<Decision> = {},
  about: Partial<Reviewed> = {},
): Promise<Uint8Array> {
  const { files } = await shown(it, id);
  const said = { result: 'approved', comment: undefined, ...decision } as const;
  return await signReview(platformCrypto, { submission: id, files, ...about }, said, signers);
}

export const bring = (it: At, id: string, bytes: Uint8Array): Promise<Answer> =>
  call(it.service.url, 'POST', api.review(id), { 'content-type': 'application/json' }, bytes);

/** The state that a statement leads to, or the code by which it is refused. */
export async function decide(it: At, id: string, bytes: Uint8Array): Promise<string> {
  const answer = await bring(it, id, bytes);
  const { error, state } = JSON.parse(answer.body.toString('utf8'));
  return state ?? error.code;
}

export const approve = async (it: At, id: string, ...signers: Signer[]): Promise<string> =>
  decide(it, id, await statement(it, id, signers));

export const reject = async (it: At, id: string, signer: Signer, comment = 'no'): Promise<string> =>
  decide(it, id, await statement(it, id, [signer], { result: 'rejected', comment }));
