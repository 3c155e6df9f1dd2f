/**
 * The library behind `ironport-client`.
 *
 *     import { openRepository } from 'ironport';
 *
 *     const repository = await openRepository({ address: 'https://drivers.example' });
 *     await repository.pin(rootBytes);
 *     const { verdict } = await repository.getVerified('acme/edu/1.0.0/edu.js', 'edu.js');
 *     await repository.close();
 *
 * Every error is an `IronError` with a code of a closed set. What is exported here is kept; what
 * is not is nobody's to import.
 */

export { CODES, type Code, type ErrorContext, IronError, isIronError } from '../shared/errors.ts';
export { systemClock } from '../shared/node/clock.ts';
export { platformCrypto } from '../shared/node/crypto.ts';
export type { Choice } from '../shared/product/choose.ts';
export { type ProductPolicy, parseProductPolicy } from '../shared/product/product-policy.ts';
export type { Clock, Instant } from '../shared/time.ts';
export { type MapFile, type Mapping, parseMapFile } from '../shared/tuf/map-file.ts';
export type { Agreement, Word } from '../shared/verify/agreement.ts';
export type { ArtifactVerdict } from '../shared/verify/artifact.ts';
export type { Check, Report } from '../shared/verify/check.ts';
export type { TargetList } from '../shared/verify/list.ts';
export type { StaleFile, TrustedMetadata } from '../shared/verify/trusted.ts';
export type { FoundTarget } from '../shared/verify/workflow.ts';
export { Bundle } from './bundle/bundle.ts';
export { type CreatedBundle, type CreateOptions, createBundle } from './bundle/create.ts';
export type { BundleIndex } from './bundle/format.ts';
export { importBundle } from './bundle/import.ts';
export { type BundleTrust, type VerifiedBundle, verifyBundle } from './bundle/verify.ts';
export { examine, repair } from './doctor/doctor.ts';
export type { Finding } from './doctor/finding.ts';
export { type DownloadOptions, type DownloadOutcome, downloadTarget } from './download.ts';
export type { Fetcher, FetchOptions, OpenedFile, ResumeFrom } from './fetch/fetcher.ts';
export { parseRate, RateLimit } from './fetch/rate.ts';
export { type Host, type ProductName, parseProductName } from './find/resolve.ts';
export { localSource, type WriteHandoffOptions, writeHandoff } from './handoff/write.ts';
export {
  type AgreedTarget,
  type MapOptions,
  MappedRepositories,
  openMapped,
} from './map/mapped.ts';
export { openRepository } from './open-repository.ts';
export {
  type GetOptions,
  type Gotten,
  Repository,
  type RepositoryOptions,
  type VerifiedProduct,
  type Wanted,
} from './repository.ts';
export { type HostStatus, type RoleStatus, readStatus } from './status.ts';
export { FolderStore } from './store/folder.ts';
export { MemoryStore } from './store/memory.ts';
export type { Store } from './store/store.ts';
export { type TargetFile, targetFile } from './target-file.ts';
export { Updater, type UpdaterOptions } from './updater.ts';
export type { KeepableTarget, VerifiedTarget } from './verify-target.ts';
