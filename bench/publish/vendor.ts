/**
 * A vendor of the bench: real keys, evidence, signatures and requests, by the modules of the
 * publisher. It believes what the service shows; what it costs to verify is measured elsewhere.
 */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig, resolveKey } from '../../publisher/config.ts';
import { nextBelow, nextRole } from '../../publisher/next-role.ts';
import { indexFile } from '../../publisher/product-index.ts';
import { Api } from '../../publisher/upload/api.ts';
import { BatchSender } from '../../publisher/upload/batch.ts';
import { Repository } from '../../publisher/upload/http.ts';
import { submit, waitFor } from '../../publisher/upload/submission.ts';
import { EDU } from '../../scripts/demo/honest.ts';
import type { BatchBlob } from '../../shared/api/blob-batch.ts';
import { toHex } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { BUILD_TYPES, BUILDERS } from '../../shared/evidence/identifiers.ts';
import { makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { parseJson } from '../../shared/json/read.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { SIDECARS, type Sidecar, sidecarPath, tree } from '../../shared/layout.ts';
import { EVIDENCE_LIMITS, LIFETIMES, METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { openSigner } from '../../shared/node/signers/uri.ts';
import { formatMetadata, sign, targetEntry, withFields } from '../../shared/tuf/build.ts';
import { binFor } from '../../shared/tuf/delegations.ts';
import type { HardwareId } from '../../shared/tuf/hardware-id.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { parseTimestamp, type Timestamp } from '../../shared/tuf/timestamp.ts';

/** Files to upload, and the entries that list them. */
export interface Goods {
  readonly blobs: readonly BatchBlob[];
  readonly entries: ReadonlyMap<string, JsonObject>;
}

/** What is handed in: its bins were signed and are uploaded like blobs. */
export interface Signed {
  readonly metadata: Uint8Array | undefined;
  readonly bins: readonly {
    readonly role: string;
    readonly sha256: string;
    readonly bytes: Uint8Array;
  }[];
}

const digest = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));

/** The ceiling of the example, for a device of this vendor. */
async function ceilingFor({ vendor, device }: HardwareId): Promise<JsonObject> {
  const bytes = await readFile(join(EDU, 'ceiling.json'));
  const example = parseJson(bytes, { length: EVIDENCE_LIMITS.ceiling }) as JsonObject;
  const hex = (id = 0): string => `0x${id.toString(16).padStart(4, '0')}`;
  return withFields(example, { devices: [{ vendor: hex(vendor), device: hex(device) }] });
}

export class BenchVendor {
  readonly name: string;
  readonly signers: Readonly<Record<'tuf' | 'evidence' | 'api', Signer>>;
  readonly #ceiling: JsonObject;
  readonly #hardware: HardwareId;
  readonly #repository: Repository;
  readonly #api: Api;
  readonly #roles = new Map<string, Targets>();
  #snapshot: Snapshot | undefined;

  private constructor(
    name: string,
    hardware: HardwareId,
    signers: BenchVendor['signers'],
    ceiling: JsonObject,
    url: string,
  ) {
    this.name = name;
    this.#hardware = hardware;
    this.signers = signers;
    this.#ceiling = ceiling;
    this.#repository = new Repository(url);
    const repository = this.#repository;
    const [signer, clock, random] = [signers.api, systemClock, systemRandom];
    this.#api = new Api({ repository, signer, crypto, clock, random });
  }

  /** The vendor whose folder `ironport init` made, calling the service at `url`. */
  static async open(dir: string, url: string): Promise<BenchVendor> {
    const { vendor, keys, hardwareIds } = await loadConfig(dir);
    const [hardware] = hardwareIds;
    if (hardware === undefined) throw new Error(`${vendor} has no hardware`);
    const open = (uri: string | undefined): Promise<Signer> =>
      openSigner(resolveKey(dir, uri ?? ''), { env: {} });
    const [tuf, evidence, api] = [
      await open(keys.tuf[0]),
      await open(keys.evidence[0]),
      await open(keys.api[0]),
    ];
    const signers = { tuf, evidence, api };
    return new BenchVendor(vendor, hardware, signers, await ceilingFor(hardware), url);
  }

  close(): Promise<void> {
    return this.#repository.close();
  }

  /** One artifact of random bytes with true evidence, of a product of its own, and its index. */
  async make(product: string, version: string, length: number): Promise<Goods> {
    const content = new Uint8Array(randomBytes(length));
    const path = `${this.name}/${product}/${version}/driver.bin`;
    const file = { length, sha256: digest(content) };
    const { custom, ...sidecars } = await makeEvidence(crypto, {
      artifact: { path, ...file },
      generation: 1,
      ceilingPredicate: this.#ceiling,
      provenancePredicate: handBuiltProvenance({
        buildType: BUILD_TYPES.byHand,
        externalParameters: { product, version },
        builderId: BUILDERS.byHand,
      }),
      signer: this.signers.evidence,
      now: systemClock(),
    });
    const blobs: BatchBlob[] = [{ sha256: file.sha256, bytes: content }];
    const entries = new Map([[path, targetEntry(file, jsonObject([['ironport', custom]]))]]);
    for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
      const bytes = sidecars[sidecar];
      blobs.push({ sha256: digest(bytes), bytes });
      entries.set(
        sidecarPath(path, sidecar),
        targetEntry({ length: bytes.length, sha256: digest(bytes) }),
      );
    }
    const index = indexFile({
      vendor: this.name,
      product,
      revision: 1,
      entries: [
        {
          path,
          version,
          ...file,
          devices: [{ vendor: this.#hardware.vendor, device: this.#hardware.device as number }],
          abi: { min: 1, max: 1 },
          generation: 1,
          released: systemClock(),
          channel: 'testing',
          rolloutPercent: 100,
          notes: '',
          fixes: [],
        },
      ],
    });
    blobs.push({ sha256: index.sha256, bytes: index.bytes });
    entries.set(index.path, index.entry);
    return { blobs, entries };
  }

  /** The next version of the role, or of the bins that the goods go into. */
  async sign(goods: readonly Goods[]): Promise<Signed> {
    const entries = new Map(goods.flatMap((one) => [...one.entries]));
    const expires = systemClock() + LIFETIMES.vendor;
    const own = await this.#role(this.name);
    const succinct = own?.delegations?.succinct;
    if (succinct === undefined) {
      const next = nextRole(own, { entries, evidenceKeys: [this.signers.evidence.key], expires });
      return { metadata: await this.#sign(this.name, next), bins: [] };
    }
    const byBin = new Map<string, Map<string, JsonObject>>();
    for (const [path, entry] of entries) {
      const role = binFor(crypto, succinct, path);
      byBin.set(role, (byBin.get(role) ?? new Map()).set(path, entry));
    }
    const bins: { role: string; sha256: string; bytes: Uint8Array }[] = [];
    for (const [role, added] of byBin) {
      const base = await this.#role(role);
      if (base === undefined) throw new Error(`${role} is not published`);
      const bytes = await this.#sign(role, nextBelow(base, { entries: added, expires }));
      bins.push({ role, sha256: digest(bytes), bytes });
    }
    return { metadata: undefined, bins };
  }

  async #sign(role: string, signed: JsonObject): Promise<Uint8Array> {
    const bytes = formatMetadata(signed, await sign(crypto, signed, [this.signers.tuf]));
    this.#roles.set(role, parseTargets(bytes, role));
    return bytes;
  }

  /** Everything that the service must have before `handIn`, in batches. */
  async upload(goods: readonly Goods[], signed: readonly Signed[]): Promise<void> {
    const sender = new BatchSender(this.#api);
    for (const { blobs } of goods) for (const blob of blobs) await sender.add(blob);
    for (const { bins } of signed) for (const bin of bins) await sender.add(bin);
    await sender.flush();
  }

  /** Hands in and waits until the served timestamp shows it. */
  async handIn({ metadata, bins }: Signed): Promise<void> {
    const uploaded = bins.map(({ role, sha256 }) => ({ role, sha256 }));
    const reply = await waitFor(
      this.#api,
      await submit(this.#api, this.name, { metadata, bins: uploaded }),
    );
    if (reply.state !== 'published' || reply.published === undefined)
      throw new Error(
        `${reply.role} was ${reply.state}: ${reply.error?.message} ${reply.error?.why}`,
      );
    const shown = await this.timestamp();
    if (shown.version < reply.published.timestamp)
      throw new Error(
        `published in timestamp ${reply.published.timestamp}, ${shown.version} is shown`,
      );
  }

  async timestamp(): Promise<Timestamp> {
    return parseTimestamp(await this.#get(tree.timestamp, METADATA_LIMITS.timestamp));
  }

  /** Every path of `goods` is listed in what is served now, with the digest that it was given. */
  async demandListed(goods: readonly Goods[]): Promise<void> {
    this.#roles.clear();
    this.#snapshot = undefined;
    const own = await this.#role(this.name);
    const succinct = own?.delegations?.succinct;
    for (const { entries, blobs } of goods) {
      const sent = new Set(blobs.map(({ sha256 }) => sha256));
      for (const path of entries.keys()) {
        const role =
          succinct === undefined ? own : await this.#role(binFor(crypto, succinct, path));
        const listed = role?.entry(path)?.hashes.get('sha256');
        if (listed === undefined || !sent.has(listed)) throw new Error(`${path} was lost`);
      }
    }
  }

  async #role(role: string): Promise<Targets | undefined> {
    const known = this.#roles.get(role);
    if (known !== undefined) return known;
    this.#snapshot ??= parseSnapshot(
      await this.#get(
        tree.metadata('snapshot', (await this.timestamp()).snapshot.version),
        METADATA_LIMITS.snapshot,
      ),
    );
    const version = this.#snapshot.roles.get(role)?.version;
    if (version === undefined) return undefined;
    const bytes = await this.#get(tree.metadata(role, version), METADATA_LIMITS.targets);
    const parsed = parseTargets(bytes, role);
    this.#roles.set(role, parsed);
    return parsed;
  }

  async #get(path: string, cap: number): Promise<Uint8Array> {
    const reply = await this.#repository.send({ method: 'GET', path: `/${path}` });
    if (reply.status !== 200) throw new Error(`${reply.status} for ${path}`);
    return await reply.bytes(cap);
  }
}
