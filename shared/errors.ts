/**
 * The one error class of the project, and the closed table of its codes.
 *
 * A code is a promise to scripts: each has one exit status, one HTTP status and one anchor in
 * docs/reference/errors.md (`#e_rollback`). A test walks table and page in both directions.
 */

interface CodeRow {
  /** Exit status of a command that ends with this code. */
  readonly exit: number;
  /** HTTP status of a response that carries this code. */
  readonly http: number;
  /** What the code means, in a line; the errors page says more. */
  readonly meaning: string;
}

const row = (exit: number, http: number, meaning: string): CodeRow => ({ exit, http, meaning });

/** Exit statuses: 2 usage, 3 nothing to do, 4 not found, 5 network, 6 storage, 7 no trust yet,
 * 8 too old, 10 to 16 a verdict, 20 and 21 the agent, 75 try again later. */
export const CODES = {
  E_INTERNAL: row(1, 500, 'a defect in this program'),
  E_CANCELLED: row(1, 499, 'the caller or a signal stopped the work'),
  E_USAGE: row(2, 400, 'the command or request was not of the documented form'),
  E_CONFIG: row(2, 400, 'a configuration or policy file is not valid'),
  E_NOTHING_TO_DO: row(3, 200, 'what was asked for is already so'),
  E_NOT_FOUND: row(4, 404, 'no such thing'),
  E_COLLECTED: row(4, 410, 'the bytes were collected when the published window was over'),
  E_NETWORK: row(5, 502, 'the other side could not be reached or broke off'),
  E_SLOW: row(5, 504, 'the other side sent too slowly'),
  E_IO: row(6, 500, 'reading or writing a file failed'),
  E_NO_SPACE: row(6, 507, 'the disk is full'),
  E_STORE: row(6, 500, 'the local store is damaged'),
  E_NO_PIN: row(7, 403, 'no root is pinned for this repository'),
  E_PIN_EXISTS: row(7, 409, 'another root is already pinned for this repository'),
  E_STALE: row(8, 403, 'what is here without the network is older than its timestamp allows'),
  E_JSON: row(9, 400, 'the bytes are not JSON that this project reads'),
  E_SCHEMA: row(9, 400, 'the document does not have the shape that its format demands'),
  E_TOO_LARGE: row(9, 413, 'more bytes or entries than the limit allows'),
  E_NAME: row(9, 400, 'a name breaks the grammar or cannot be stored safely'),
  E_SIGNATURE: row(10, 403, 'a signature does not verify'),
  E_THRESHOLD: row(10, 403, 'fewer distinct keys signed than the threshold demands'),
  E_KEY: row(10, 400, 'a key is malformed, weak or of an unknown kind'),
  E_EXPIRED: row(11, 403, 'metadata is past its expiry'),
  E_ROLLBACK: row(12, 409, 'something older than what was already trusted was offered'),
  E_VERSION: row(12, 409, 'a version number is not the one that must follow'),
  E_HASH: row(13, 422, 'bytes do not have the digest that was signed'),
  E_LENGTH: row(13, 422, 'bytes do not have the length that was signed'),
  E_MIX_AND_MATCH: row(13, 422, 'files of different versions of the repository were combined'),
  E_NOT_AUTHORISED: row(14, 403, 'the signer has no authority over this name or hardware'),
  E_TARGET_UNKNOWN: row(14, 404, 'no role that may speak for this path lists it'),
  E_WITHDRAWN: row(14, 410, 'the vendor withdrew this artifact'),
  E_DELEGATION: row(14, 422, 'the delegations lead nowhere or too far'),
  E_NOT_AGREED: row(14, 422, 'the repositories of a map file do not agree about a target'),
  E_REVOKED: row(15, 403, 'the artifact, or a key that it rests on, was revoked'),
  E_REVOCATIONS: row(15, 422, 'a list of revocations is not validly signed or not of its form'),
  E_REVOCATIONS_MISSING: row(15, 404, 'there is no list of revocations where one must be'),
  E_REVOCATIONS_STALE: row(15, 403, 'nobody renewed the list of revocations in time'),
  E_POLICY: row(16, 403, 'a policy refused'),
  E_EVIDENCE: row(16, 422, 'evidence is missing, untrue or signed by nobody who may'),
  E_CEILING: row(16, 422, 'the resource ceiling is not valid or does not fit the artifact'),
  E_REVIEW: row(16, 403, 'reviewers rejected it, or did not approve it in time'),
  E_MANIFEST: row(17, 422, 'a resource manifest is malformed'),
  E_MANIFEST_TRAILING: row(17, 422, 'bytes follow the end of an ISM2 blob'),
  E_MANIFEST_OVERLAP: row(17, 422, 'two windows of a resource manifest overlap'),
  E_MANIFEST_OVERFLOW: row(17, 422, 'a window of a resource manifest ends past its address space'),
  E_CONFLICT: row(18, 409, 'somebody else changed it first'),
  E_EXISTS: row(18, 409, 'it exists already, with other content'),
  E_UNAUTHENTICATED: row(19, 401, 'the request is not signed by a key that this repository knows'),
  E_REPLAY: row(19, 401, 'a signed request was sent a second time'),
  E_QUOTA: row(19, 429, 'a quota is used up'),
  E_AGENT_REFUSED: row(20, 422, 'the agent will not bind this device'),
  E_WRONG_DEVICE: row(20, 422, 'the driver is not for this device'),
  E_BRIDGE: row(20, 422, 'the device is a bridge'),
  E_PHYSICAL_FUNCTION: row(
    20,
    422,
    'the device is a physical function whose virtual functions are in use',
  ),
  E_VIRTUAL_FUNCTION: row(
    20,
    422,
    'the device is a virtual function and the driver is for the physical one',
  ),
  E_NO_SRIOV: row(20, 422, 'the device cannot have virtual functions'),
  E_VF_COUNT: row(20, 422, 'more virtual functions than device, ceiling or fleet policy allow'),
  E_VF_IN_USE: row(20, 422, 'somebody has one of the virtual functions'),
  E_VF_GROUP: row(20, 422, 'a virtual function is not in an IOMMU group of its own'),
  E_PF_NO_DRIVER: row(20, 422, 'the physical function has no driver of the host'),
  E_PF_GONE: row(20, 422, 'the physical function of a virtual one is gone'),
  E_NO_IOMMU: row(20, 422, 'this host has no IOMMU at work'),
  E_NO_IOMMU_GROUP: row(20, 422, 'no IOMMU holds this device'),
  E_NOIOMMU_MODE: row(20, 422, 'VFIO runs without an IOMMU behind it'),
  E_IDENTITY_GROUP: row(20, 422, 'the IOMMU lets this device through to all of memory'),
  E_ACS_OVERRIDE: row(20, 422, 'the kernel was told to pretend that devices are isolated'),
  E_GROUP_SHARED: row(20, 422, 'the IOMMU group holds what the grant does not cover'),
  E_RESET_SHARED: row(20, 422, 'the device can be reset only together with others'),
  E_UNSAFE_INTERRUPTS: row(
    20,
    422,
    'VFIO was told to let in devices whose interrupts are not isolated',
  ),
  E_NO_INTERRUPT_REMAPPING: row(20, 422, 'interrupts of devices are not remapped'),
  E_BOOT_DISPLAY: row(20, 422, 'the device is the display that the machine started with'),
  E_DEVICE_IN_USE: row(20, 422, 'somebody uses the device'),
  E_NO_VFIO_DRIVER: row(20, 422, 'the kernel has no driver to give the device to'),
  E_MEMLOCK: row(20, 422, 'the memory of the grant is more than this process may lock'),
  E_IOVA_RANGE: row(20, 422, 'a window lies where this host addresses nothing'),
  E_PAGE_SIZE: row(20, 422, 'the IOMMU cannot keep a device to a part of a page'),
  E_DEVICE_TRANSLATES: row(20, 422, 'the device translates addresses by itself'),
  E_GRANT_EMPTY: row(20, 422, 'ceiling, fleet policy and device have nothing in common'),
  E_OUT_OF_GRANT: row(20, 403, 'an access, a mapping or a rate lies outside of what was granted'),
  E_NONCE: row(20, 409, 'a binding nonce was used before'),
  E_QUARANTINED: row(20, 403, 'the device is in quarantine'),
  E_NOT_RELEASED: row(20, 403, 'a statement does not release this device from quarantine'),
  E_NOT_HELD_DOWN: row(20, 500, 'a device in quarantine could not be kept from the host'),
  E_NOT_RETURNED: row(21, 500, 'an upgrade failed, and the version before it was not bound again'),
  E_BIND_ROLLED_BACK: row(21, 500, 'a step of the binding failed; what had been done was undone'),
  E_BIND_STUCK: row(22, 500, 'a step of the binding failed and the way back failed too'),
  E_LOCKED: row(75, 503, 'another process holds the lock'),
  E_IN_REVIEW: row(75, 409, 'the submission waits for reviewers'),
  E_TRY_AGAIN: row(75, 503, 'not now; the same call may succeed later'),
} as const satisfies Record<string, CodeRow>;

/** A code of the closed set. */
export type Code = keyof typeof CODES;

/** Facts that belong to an error: short, printable, never secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

export interface ErrorDetails {
  /** Why it happened, as far as is known: the `why:` line. */
  readonly why?: string;
  /** What to do about it, and whether anything was changed: the `do:` line. */
  readonly hint?: string;
  readonly cause?: unknown;
  readonly context?: ErrorContext;
}

/** Every error that this project throws on purpose. `message` says what happened. */
export class IronError extends Error {
  override readonly name = 'IronError';
  readonly code: Code;
  readonly why: string | undefined;
  readonly hint: string | undefined;
  readonly context: ErrorContext;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.why = details.why;
    this.hint = details.hint;
    this.context = details.context ?? {};
  }

  get exit(): number {
    return CODES[this.code].exit;
  }

  get http(): number {
    return CODES[this.code].http;
  }
}

/** Whether `error` is one of ours and, when codes are given, has one of them. */
export function isIronError(error: unknown, ...codes: Code[]): error is IronError {
  return error instanceof IronError && (codes.length === 0 || codes.includes(error.code));
}

/** The error as one of ours: foreign errors become `E_INTERNAL` and keep their cause. */
export function asIronError(error: unknown): IronError {
  if (error instanceof IronError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new IronError('E_INTERNAL', message, { cause: error });
}

/** The anchor of a code in docs/reference/errors.md. */
export function docsAnchor(code: Code): string {
  return `docs/reference/errors.md#${code.toLowerCase()}`;
}
