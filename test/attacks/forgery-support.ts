/**
 * A driver with everything that a host may ask of it, shown to be good by a whole client and a whole
 * agent; then one change, and both of them again.
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { program } from '../../client/main.ts';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { BUILD_TYPES, BUILDERS, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { type EvidenceRequest, makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { resourceUri } from '../../shared/evidence/vsa.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { DAY, formatInstant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { type Answer, agent, CEILING, NAME, Repository, stateOf } from '../agent/support.ts';
import { testKey } from '../support/keys.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { testList } from '../support/revocations.ts';
import { serve } from '../support/serve.ts';
import { digest } from '../support/simulator.ts';

export const VENDOR = testKey('acme evidence');
export const LAB = testKey('laboratory');
export const SOURCE = 'git+https://git.acme.example/edu';
export const DRIVER = utf8(`driver ${NAME}\n`);
export const DRIVER_SHA256 = digest('sha256', DRIVER);
/** The laboratory's, which judges drivers by a policy of its own. */
const VERIFIER = 'https://lab.example/verifier/v1';
const GENERATION = 2;

/** What this host asks, in every row; the driver as it is first meets all of it. */
export const POLICY = {
  schema: 'ironport.host-policy/v1',
  version: 1,
  keys: { lab: keyObject(LAB.key) },
  evidence: {
    otherwise: 'refuse',
    rules: [
      {
        namespace: 'acme',
        builders: [{ id: BUILDERS.byHand, signers: ['vendor'], level: 1 }],
        minimum_level: 1,
        build_types: [BUILD_TYPES.byHand],
        sources: [SOURCE],
        external_parameters: { source: { any: true }, target: { equals: 'linux-6.12' } },
        predicates: [
          { type: 'test-result', signers: ['lab'], least: 1 },
          { type: 'release', signers: ['vendor'] },
        ],
        summaries: [
          {
            verifiers: [{ id: VERIFIER, signers: ['lab'] }],
            levels: ['SLSA_BUILD_LEVEL_2'],
            max_age_days: 30,
          },
        ],
        sbom: {
          deny_licences: ['AGPL-3.0-only'],
          without_licence: 'allow',
          forbid: ['pkg:generic/left-pad'],
          without_purl: 'allow',
        },
        expressions: [{ name: 'a small bill', cel: 'size(sbom.packages) <= 2' }],
      },
    ],
  },
};

export type Sidecars = Readonly<Record<Sidecar, Uint8Array>>;

export interface Evidence extends Sidecars {
  readonly custom: JsonObject;
}

export const provenance = (
  change: Partial<Parameters<typeof handBuiltProvenance>[0]> = {},
): JsonObject =>
  handBuiltProvenance({
    buildType: BUILD_TYPES.byHand,
    externalParameters: { source: SOURCE, target: 'linux-6.12' },
    builderId: BUILDERS.byHand,
    ...change,
  });

/** A statement about the driver, in an envelope and on a line. */
export async function line(
  predicateType: string,
  predicate: JsonObject,
  signer: Signer = VENDOR,
): Promise<Uint8Array> {
  const statement = buildStatement({
    subjects: [{ sha256: DRIVER_SHA256 }],
    ...{ predicateType, predicate },
  });
  return lineOf(statement, signer);
}

export async function lineOf(
  payload: Uint8Array,
  signer: Signer = VENDOR,
  type = 'application/vnd.in-toto+json',
): Promise<Uint8Array> {
  return concatBytes(await signEnvelope(type, payload, [{ signer }]), utf8('\n'));
}

export const testResult = (result: string, signer: Signer = LAB): Promise<Uint8Array> =>
  line(PREDICATE_TYPES.testResult, { result, configuration: [] }, signer);

/** The vendor's word about which package the driver is. */
export const release = (purl = 'pkg:generic/acme/edu@1.0.0'): Promise<Uint8Array> =>
  line(PREDICATE_TYPES.release, { purl });

/** The laboratory's verdict. */
export const summary = (change: JsonObject = {}, signer: Signer = LAB): Promise<Uint8Array> =>
  line(
    PREDICATE_TYPES.vsa,
    {
      verifier: { id: VERIFIER },
      timeVerified: formatInstant(systemClock() - DAY),
      resourceUri: resourceUri(NAME),
      policy: { uri: 'https://lab.example/policy' },
      verificationResult: 'PASSED',
      verifiedLevels: ['SLSA_BUILD_LEVEL_2'],
      ...change,
    },
    signer,
  );

/** Evidence as an honest vendor makes it, with lines of the laboratory's behind its own. */
export async function evidence(change: Partial<EvidenceRequest> = {}): Promise<Evidence> {
  const made = await makeEvidence(platformCrypto, {
    artifact: { path: NAME, length: DRIVER.length, sha256: DRIVER_SHA256 },
    generation: GENERATION,
    ceilingPredicate: { ...CEILING, generation: change.generation ?? GENERATION },
    provenancePredicate: provenance(),
    signer: VENDOR,
    now: systemClock(),
    ...change,
  });
  const more = await Promise.all([testResult('PASSED'), release(), summary()]);
  return relisted(made, { statements: concatBytes(made.statements, ...more) });
}

/** The same with other sidecars, which the artifact's entry lists as well. */
export function relisted(made: Evidence, change: Partial<Sidecars>): Evidence {
  const all = { ...made, ...change };
  const sidecars: Record<string, JsonObject> = {};
  for (const sidecar of Object.keys(SIDECARS) as Sidecar[])
    sidecars[sidecar] = { length: all[sidecar].length, sha256: digest('sha256', all[sidecar]) };
  return { ...all, custom: { ...all.custom, sidecars } };
}

/** What a forger has in hand. */
export class Scene {
  readonly repository = new Repository();
  readonly folder = mkdtempSync(join(tmpdir(), 'ironport-forgery-'));
  readonly good: Evidence;
  #runs = 0;

  constructor(good: Evidence) {
    this.good = good;
  }

  get sim() {
    return this.repository.sim;
  }

  /** Publishes the driver with this evidence. */
  publish(made: Evidence): void {
    const { custom, ...sidecars } = made;
    this.put(NAME, DRIVER, { ironport: custom });
    for (const sidecar of Object.keys(SIDECARS) as Sidecar[])
      this.put(sidecarPath(NAME, sidecar), sidecars[sidecar]);
    this.repository.publish();
  }

  /** Publishes the good evidence with other sidecars, which the entry lists too. */
  relist(change: Partial<Sidecars>): void {
    this.publish(relisted(this.good, change));
  }

  /** Puts other sidecars in the places of the good ones; the artifact's entry lists the good ones. */
  swap(change: Partial<Sidecars>): void {
    this.publish({ ...this.good, ...change });
  }

  put(path: string, bytes: Uint8Array, custom?: unknown): void {
    this.repository.files.set(path, bytes);
    this.sim.addTarget('acme', path, bytes, custom);
  }

  revoke(version: number, change: Partial<RevocationList> = {}): Promise<void> {
    return this.repository.revoke(testList(version, change));
  }

  setPolicy(policy: object): void {
    writeFileSync(join(this.folder, 'policy.json'), JSON.stringify(policy), { mode: 0o644 });
  }

  /** `ironport-client ADDRESS get-verified`, over a store that lives as long as the scene. */
  async get(): Promise<Answer> {
    const out = join(this.folder, `out${this.#runs++}`);
    const served = await serve(this.sim);
    try {
      const ran = await runInProcess(program, [
        ...[served.url, 'get-verified', NAME, out, '--json'],
        ...['--store', join(this.folder, 'store'), ...this.#trust()],
      ]);
      const answer = { exit: ran.exit, ...documentOf(ran) } as unknown as Answer;
      if ((answer.exit === 0) !== existsSync(out)) throw new Error(`${out} and the verdict differ`);
      return answer;
    } finally {
      await served.close();
    }
  }

  /** `ironport-agent accept` of a folder that somebody made without asking a client. */
  accept(): Promise<Answer> {
    const folder = this.repository.handOver(join(this.folder, `handoff${this.#runs++}`));
    return agent('accept', folder, '--state', this.state, ...this.#trust());
  }

  get state(): string {
    return join(this.folder, 'state');
  }

  #trust(): string[] {
    const root = this.repository.rootFile(this.folder);
    return ['--root', root, '--host-policy', join(this.folder, 'policy.json')];
  }
}

/** Code, reason and the beginning or middle of the message. */
export type Refusal = readonly [code: string, reason: string | undefined, message: RegExp];

export interface Forgery {
  readonly name: string;
  readonly refused: Refusal;
  /** The one change. It publishes what has to be published. */
  readonly forge: (scene: Scene) => void | Promise<void>;
}

const good = await evidence();

/** Each forgery through both, after the driver was taken by both as it is. */
export async function tryForgeries(t: Test, forgeries: readonly Forgery[]): Promise<void> {
  // As long as it takes on a machine that does other things as well.
  t.setTimeout(600_000);
  t.equal(new Set(forgeries.map(({ name }) => name)).size, forgeries.length, 'each has a name');
  for (const { name, refused, forge } of forgeries) {
    const scene = new Scene(good);
    t.teardown(() => rmSync(scene.folder, { recursive: true, force: true }));
    scene.setPolicy(POLICY);
    scene.publish(good);
    await scene.revoke(5, {
      floors: new Map([['acme/edu', { generation: 1, reason: 'the first one was bad' }]]),
    });
    for (const taken of [await scene.get(), await scene.accept()])
      t.equal(taken.exit, 0, `${name}: good before: ${taken.error?.message ?? 'taken'}`);
    await forge(scene);
    const before = stateOf(scene.state);
    const [code, reason, message] = refused;
    for (const [gate, { exit, error }] of [
      ['get-verified', await scene.get()],
      ['accept', await scene.accept()],
    ] as const) {
      t.not(exit, 0, `${name}: ${gate} says so`);
      t.same([error?.code, error?.context?.reason], [code, reason], `${name}: ${gate}`);
      t.match(error?.message, message, `${name}: ${gate}: the message`);
      t.ok(error?.hint, `${name}: ${gate}: what to do`);
    }
    t.strictSame(stateOf(scene.state), before, `${name}: the agent is as it was`);
  }
}
