/** Every bound of the project, in one place. Lengths are in bytes, times in seconds. */

/** What the strict JSON reader allows when a caller names nothing smaller. */
export const JSON_LIMITS = {
  /** Nesting of arrays and objects. */
  depth: 64,
} as const;

/** Metadata: the bounds that the other clients of the field have too, so that none is shut out. */
export const METADATA_LIMITS = {
  root: 512_000,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 5_000_000,
  /** Root versions followed in one refresh (TUF 5.3.3). */
  rootRotations: 256,
  /** Roles visited in one walk over the delegations (TUF 5.6.7). */
  delegations: 32,
  /** Steps of matching one path with all patterns of one file, their length included. */
  patternSteps: 16_000_000,
  /** Signatures in one file; more is an attempt to make us count. */
  signatures: 256,
  /** Keys in one role or delegation. */
  keys: 1024,
} as const;

/** A map file (TAP 4): an operator writes it by hand, or a few lines of a program do. */
export const MAP_LIMITS = {
  file: 262_144,
  repositories: 32,
  /** Addresses of one repository. */
  urls: 16,
  mappings: 256,
  /** Patterns of one mapping. */
  paths: 1024,
  /** Characters of one address or pattern. */
  text: 2048,
} as const;

/** Of these, the two that grow with a repository, and that a caller may therefore set. */
export type SizeLimits = { readonly [role in 'snapshot' | 'targets']: number };

/** A table of contents of a whole repository. */
export const LIST_LIMITS = {
  roles: 4096,
  targets: 1_000_000,
  /** Steps of matching paths with patterns for all of it: ten seconds, */
  steps: 1_000_000_000,
  /** and for what one delegation of the top-level role leads to: a second. */
  branchSteps: 100_000_000,
  /** What a role visited for one path counts as, beside its patterns. */
  visitSteps: 50,
} as const;

/** The index of a product. */
export const INDEX_LIMITS = {
  file: 4 * 1024 * 1024,
  versions: 4096,
  /** Device matches of one version. */
  devices: 1024,
  notes: 16_384,
  reason: 1024,
  fixes: 256,
  /** What a host says about which version it takes. */
  productPolicy: 1_048_576,
  productPolicyEntries: 16_384,
} as const;

/** What we publish ourselves stays this far under what others read. */
export const PUBLISHED_LIMITS = {
  snapshot: 1_800_000,
  targets: 4_500_000,
  /** Versions of online roles: one a second for 34,000 years. What is above was never honest. */
  version: 2 ** 40,
} as const;

/** Hash bins of one vendor (TAP 15), by the length of their number: at most 16,384. */
export const BIN_LIMITS = {
  bits: 14,
  /** Roles of one vendor that a snapshot ever lists: bins of an earlier number stay listed. */
  rolesPerVendor: 20_000,
  /** Targets that a vendor may move at once, from its role into bins or from bins into others. */
  moved: 200_000,
} as const;

/** Roles that a vendor nests below its own, at one time. */
export const NESTED_LIMITS = {
  /** In the whole of its branch, bins not counted. */
  roles: 256,
  /**
   * Roles from the vendor's own to the deepest nested one, that one counted and the vendor's not. With bins
   * below it a client follows five delegations, as many as the most careful of the others do.
   */
  depth: 3,
  /** Path patterns, of all roles that one role delegates to. */
  patterns: 512,
  /** Characters of one. */
  pattern: 512,
} as const;

export const EVIDENCE_LIMITS = {
  /** One DSSE envelope or one line of a `.intoto.jsonl`. */
  envelope: 16 * 1024 * 1024,
  /** The whole of a `.intoto.jsonl`. */
  bundle: 32 * 1024 * 1024,
  lines: 256,
  signatures: 64,
  subjects: 1024,
  digestsPerSubject: 32,
  /** Levels and properties that one verification summary names. */
  verifiedLevels: 64,
  sbom: 32 * 1024 * 1024,
  ceiling: 262_144,
  /** Evidence keys that one role lists, active and retired. */
  keys: 64,
  /** Signatures tried with keys for one artifact, and the bytes that these tries read. */
  verifications: 512,
  verifiedBytes: 256 * 1024 * 1024,
} as const;

/** Kernel modules and other ELF files, and the signature at a module's end. */
export const ELF_LIMITS = {
  /** A file that is read whole. */
  file: 256 * 1024 * 1024,
  /** Sections, and program headers. */
  headers: 65_536,
  symbols: 4_000_000,
  /** Names in all: undefined symbols, needed libraries, fields of .modinfo. */
  names: 262_144,
  name: 4096,
  /** Bytes of notes that are looked through for the build id. */
  notes: 1_048_576,
  /** The signature block, certificates in it included. */
  signature: 262_144,
  signers: 16,
} as const;

/** A list of revocations. */
export const REVOCATION_LIMITS = {
  /** The whole envelope. */
  list: 4 * 1024 * 1024,
  /** Entries of each of its three lists. */
  entries: 10_000,
  /** Digests that one denied key may name as still allowed. */
  allowed: 1024,
  /** Bytes of a reason. */
  reason: 500,
  /** Keys of the security team. */
  keys: 64,
  /** Versions, epochs and generations, far below where counting ends. */
  number: 2 ** 40,
} as const;

/** A host's policy, and what judging by it may cost. */
export const POLICY_LIMITS = {
  file: 1_048_576,
  /** Entries of any list in it. */
  entries: 1024,
  /** Keys that it names, and keys of the operators that sign it. */
  keys: 64,
  /** One expression in CEL: characters, nodes of its tree, and how deep they stand. */
  expression: 2048,
  expressionNodes: 256,
  expressionDepth: 24,
  /** Steps that one expression may take at the most, computed before it is run. */
  expressionSteps: 500_000,
  /** The longest text that an expression is shown. */
  text: 4096,
  /** The longest age of a verification summary that a rule may name. */
  maxAgeDays: 3650,
} as const;

export const HANDOFF_LIMITS = { record: 64 * 1024 * 1024, sidecars: 32 } as const;

/** The recorded inputs of a verification summary: metadata and evidence in base64, of each repository. */
export const SUMMARY_LIMITS = { inputs: 4 * HANDOFF_LIMITS.record } as const;

export const TIME_LIMITS = {
  /** A clock may be so far behind the time floor before it is not believed. */
  tolerance: 600,
} as const;

/** A bundle file. What it carries has limits of its own besides. */
export const BUNDLE_LIMITS = {
  /** The line before the index. */
  header: 64,
  index: 4 * 1024 * 1024,
  files: 16_384,
  /** All of its metadata, which is held in memory. */
  metadata: 64 * 1024 * 1024,
  artifacts: 1024,
} as const;

/** A configuration file of a program. */
export const CONFIG_LIMITS = { file: 65_536, settings: 64 } as const;

export const NAME_LIMITS = {
  /** One path segment as Linux file systems hold it. */
  segment: 255,
  targetPath: 1024,
  role: 100,
  vendor: 32,
} as const;

export const TRANSPORT_LIMITS = {
  connectSeconds: 10,
  /** Longest wait for the next byte. */
  idleSeconds: 30,
  /** A body slower than this over a whole window is an attack of slowness (TUF 1.5.2). */
  minimumBytesPerSecond: 1024,
  slowWindowSeconds: 20,
  retries: 3,
  /** The same where another mirror can be asked instead. */
  retriesWithMirrors: 1,
  mirrors: 16,
  /** The first wait before another try; each further one is twice as long, and less by chance. */
  retrySeconds: 0.25,
  redirects: 3,
  /** Targets that are fetched side by side. */
  parallel: 4,
  /** Bytes of a file from which on loading another carrier costs less than it saves. */
  bulk: 32 * 1024 * 1024,
  /** What may have arrived and not been used yet, before the other side is told to wait. */
  buffer: 1 * 1024 * 1024,
  /** The same under a limited rate, at least. */
  smallestBuffer: 16 * 1024,
} as const;

export const STORE_LIMITS = {
  /** A floors file, with every role that a snapshot can list. */
  floors: 8 * 1024 * 1024,
  /** A note about one file. */
  note: 4096,
  /** How long another process may hold a client's store. */
  waitSeconds: 300,
  /** Files of evidence that are kept for use without the network, and bytes of them. */
  evidenceFiles: 1024,
  evidenceBytes: 512 * 1024 * 1024,
} as const;

export const SERVER_LIMITS = {
  /** Largest artifact that intake takes. */
  artifact: 8 * 1024 * 1024 * 1024,
  /** Largest JSON body of the upload API. */
  body: 8 * 1024 * 1024,
  /** Bytes of such bodies that are held while they come, of vendors and of strangers each. */
  bodies: 32 * 1024 * 1024,
  /** Files in one hand-in of an operator: a chain of roots and a targets file. */
  operatorFiles: 32,
  /** A signed request is good for this long around its `created` (RFC 9421 7.2.2). */
  requestWindowSeconds: 300,
  /** Signed requests of one vendor: so many at once, and so many a second for ever. */
  requests: { perSecond: 200, burst: 4000 },
  /** Unpublished bytes that one vendor may have in quarantine. */
  quarantinePerVendor: 64 * 1024 * 1024 * 1024,
  /** Files that one vendor may have in quarantine, complete or not: all bins, and what is new. */
  quarantineFiles: 65_536,
  /** Blobs in one batch, whose bytes are at most `body`. */
  batch: 4096,
  /** What was uploaded and not published for so long is deleted. */
  quarantineSeconds: 7 * 86_400,
  /** Verdicts on what was refused are kept for so long, */
  refusedSeconds: 90 * 86_400,
  /** and of one vendor so many of them. */
  refused: 256,
  /** Submissions that wait for publication, of one vendor or of the operators. */
  queued: 64,
  /** Room on the disk below which the service is not ready: a publication needs some. */
  leastFree: 64 * 1024 * 1024,
  /** How often a webhook is asked to take one warning, */
  noticeAttempts: 10,
  /** and the first wait between two tries; each further one is twice as long. */
  noticeRetrySeconds: 60,
  /** How long requests that are being answered may go on after the service was told to stop. */
  stopSeconds: 20,
  /** So long a timestamp stays that a new root left standing, unless it expires before. */
  restSeconds: 600,
  /** A vendor's clock may be so far ahead when a lifetime is judged. */
  clockSkewSeconds: 3600,
} as const;

/** The file of a first ceremony: root, targets, and a list that revokes nothing, in base64. */
export const CEREMONY_LIMITS = { file: 8 * 1024 * 1024, keys: 64 } as const;

/** Changes that wait at the service for signatures. */
export const DRAFT_LIMITS = {
  /** How long a draft waits for its signatures; a vendor's no longer than its blobs are kept. */
  seconds: 14 * 86_400,
  vendorSeconds: SERVER_LIMITS.quarantineSeconds,
  /** Open ones of the operators, or of one vendor, */
  open: 32,
  /** and of those that one key began. */
  openByKey: 4,
  /** Files of one: a list of all drafts names each, and a person looks at what they change. */
  files: 512,
  /** What became of drafts is remembered for so long, and of so many. */
  endedSeconds: 90 * 86_400,
  ended: 128,
} as const;

/** Metadata that is sent compressed. */
export const ENCODING_LIMITS = {
  /** Smaller files gain nothing, larger ones are no metadata. */
  least: 1024,
  most: METADATA_LIMITS.targets,
  /** Compressed bytes that are kept, and of how many files. */
  kept: 32 * 1024 * 1024,
  files: 4096,
  /** Files that are compressed side by side; each takes a processor. */
  atOnce: 2,
} as const;

/** Metadata that the read path keeps in memory. */
export const HOT_LIMITS = {
  /** Bytes of one file; larger ones are streamed. */
  file: 256 * 1024,
  /** Bytes together, what each entry weighs beside its file among them. */
  kept: 32 * 1024 * 1024,
} as const;

/** A backup of a repository. */
export const BACKUP_LIMITS = {
  /** The line before its list. */
  head: 128,
  /** One line of its list: a path and a digest. */
  line: 16_384,
  /** The whole list: ten million files. */
  manifest: 4 * 1024 * 1024 * 1024,
  /** Bytes that are read at once. */
  piece: 1024 * 1024,
} as const;

/** Published files that the targets say are lost, and the characters of one place. */
export const LOST_LIMITS = { places: 1000, place: 2048 } as const;

/** How long bytes stay that nothing lists any more. */
export const RETENTION_LIMITS = {
  /** No shorter than a snapshot lives. */
  leastWindow: 7 * 86_400,
  leastGrace: 86_400,
  most: 100 * 365 * 86_400,
  /** Targets of one run: nothing is published meanwhile. */
  atOnce: 10_000,
  /** Of them, those that go while nobody can add a hold, and how long somebody waits who wants to. */
  underLock: 500,
  holdWaitMs: 60_000,
  holds: 4096,
  /** Characters of the reason of a hold. */
  reason: 500,
} as const;

/** Submissions that wait for reviewers, and what reviewers say. */
export const REVIEW_LIMITS = {
  /** Reviewers that the targets name. */
  keys: 32,
  /** How long a submission waits; its bytes are kept as long. */
  seconds: 30 * 86_400,
  /** Submissions of one vendor that wait at the same time. */
  waiting: 8,
  /** New artifacts that one submission may bring to people who look at each. */
  artifacts: 64,
  /** Files that a statement names: the roles and every new target. `EVIDENCE_LIMITS.subjects` */
  files: 1024,
  /** One statement in its envelope. */
  statement: 1024 * 1024,
  /** Characters of a reason. */
  reason: 1000,
} as const;

/** The operators' program that looks at bytes before they may be published. */
export const SCANNER_LIMITS = {
  /** How long it may look at one submission, where nobody says, and at the most: who handed in waits. */
  seconds: 120,
  mostSeconds: 150,
  /** How long a submission waits for its turn, */
  waitSeconds: 120,
  /** how many of one vendor wait, and how many vendors' are looked at side by side. */
  waiting: 4,
  atOnce: 4,
  /** Files that it is given at once, as arguments. */
  files: 256,
  /** Words of the command, and characters of one. */
  words: 64,
  word: 1024,
  /** Characters that are kept of what it writes, and that the vendor is shown. */
  output: 65_536,
  said: 400,
  /** When it looks at what is published: bytes that it is given at once, if there is more than one file, */
  groupBytes: 268_435_456,
  /** and of one vendor, finds and files that it cannot look at, before the others have their turn. */
  found: 1000,
  failed: 64,
  /** Such looks that are kept of a vendor. */
  rescans: 64,
} as const;

/** Lifetimes of the roles, in seconds; ARCHITECTURE.md says who renews which. */
export const LIFETIMES = {
  root: 365 * 86_400,
  targets: 182 * 86_400,
  vendor: 90 * 86_400,
  /** The role that lists the revocations; a timer apart from the service renews it. */
  revocations: 7 * 86_400,
  snapshot: 7 * 86_400,
  timestamp: 86_400,
  /** A fleet policy that operators sign. */
  fleetPolicy: 30 * 86_400,
} as const;

export const MANIFEST_LIMITS = {
  /** Capacity of an IronShim resource manifest, in windows. */
  mmio: 8,
  ports: 8,
  /** A resource manifest as JSON, or an ISM2 blob with what may follow it. */
  document: 65_536,
  /** A fleet policy, and one in an envelope. */
  policy: 1_048_576,
  signedPolicy: 2 * 1_048_576,
  /** How long a host binds again what it had bound, on metadata that expired, where its policy does not say. */
  rebindGraceSeconds: 30 * 86_400,
  /** Entries of any list in a ceiling or a policy. */
  entries: 1024,
} as const;

/** An admission request. */
export const ADMISSION_LIMITS = {
  file: 262_144,
  /** Keys in one of its lists. */
  keys: 32,
  hardwareIds: 1024,
} as const;

/** Key files and what opens them. */
export const KEY_FILE_LIMITS = {
  file: 65_536,
  passphrase: 4096,
  /** What opening a key file may cost: scrypt takes 128 * N * r bytes, p times. */
  scryptMemory: 256 * 1024 * 1024,
  scryptPasses: 16,
} as const;

/** Signers that are not files. */
export const SIGNER_LIMITS = {
  /** A message to ssh-agent or from it; OpenSSH takes no longer ones. */
  agentMessage: 256 * 1024,
  /** All that a plugin answers to one request. */
  pluginAnswer: 65_536,
  /** How long somebody may take to touch a token or to confirm. */
  patienceSeconds: 120,
} as const;

export const AGENT_LIMITS = {
  /** One attribute of sysfs; the kernel gives no more than a page. */
  attribute: 65_536,
  /** Configuration space with the extended part. */
  config: 4096,
  /** Folders looked into below one device. */
  deviceFolders: 4096,
  /** Interrupts that are looked at for the kind of their chip. */
  interrupts: 1024,
  /** A file of the agent's own state that is read whole. */
  state: 16 * 1024 * 1024,
  /** One line of the audit log. */
  auditLine: 65_536,
  /** A receipt. */
  receipt: 262_144,
  /** One signed head of the audit log, */
  auditHead: 4096,
  /** and after how many lines, or seconds, of one long piece of work there is another. */
  auditHeadLines: 64,
  auditHeadSeconds: 300,
  /** How long one write into sysfs may take before it is called stuck. */
  writeSeconds: 10,
  /** How long the kernel may take to show the effect of a write that returned. */
  settleSeconds: 2,
  /** How long a process may take to confine itself and become the driver. */
  launchSeconds: 30,
  /** How long a process that was killed may take to be gone, before it is called stuck. */
  endSeconds: 10,
  /** What is kept of what a driver writes. */
  driverOutput: 65_536,
  /** What of it goes into the audit log: escaped, it still fits into a line. */
  driverOutputAudited: 8192,
  /** How long a control group may take to be frozen before a brake goes on without. */
  freezeMs: 1000,
  /** Refused calls of one driver that are answered by us, and told of; the kernel answers the others. */
  refusedCalls: 4096,
  /** How often a device that is held is looked at, */
  watchMs: 1000,
  /** and every how many times what its driver rests on. */
  evidenceRounds: 60,
  /** How long before its expiry that is told. */
  leadSeconds: 86_400,
  /** So many crashes within so long are a loop. */
  crashes: 5,
  crashSeconds: 600,
  /** How long what is audited while a device is held may wait for the state. */
  auditWaitSeconds: 600,
  /** Lines about what stops nothing that wait for it, of one device; what is more is counted. */
  deferredLines: 512,
  /** How long what was held down by `quarantine enforce` waits to be written down: a start waits too. */
  enforceWaitSeconds: 60,
} as const;

/** What a fleet policy may say about drivers that are run. */
export const RUN_LIMITS = {
  /** Below are the numbers of systems and of people; above is `nobody`, and -1 means no user. */
  userFirst: 1000,
  userLast: 0xffff_fffd,
  users: 65_536,
  memoryLeast: 1n << 20n,
  memoryMost: 1n << 40n,
  processes: 65_536,
  accessesPerSecond: 10_000_000,
  /** Files, and arguments, of one runtime. */
  runtimeFiles: 256,
} as const;

/** What is called a leak (`shared/manifest/leak.ts`), where the fleet policy does not say. */
export const LEAK_LIMITS = {
  windowSeconds: { usual: 60, most: 86_400 },
  windows: { usual: 10, most: 1000 },
  descriptorGrowth: { usual: 64, most: 1_000_000 },
  /** Of the process that holds a device, which has no policy. */
  ownMemoryBytes: 128 * 1024 * 1024,
  ownDescriptors: 64,
} as const;

/** The process that serves a driver the registers of its device. */
export const BROKER_LIMITS = {
  /** What the process itself is given. */
  process: { dataBytes: 512 * 1024 * 1024, threads: 32, stackBytes: 8 * 1024 * 1024 },
  memoryBytes: 256 * 1024 * 1024,
  /** Accesses that may come at once before the rate counts. */
  burst: 1024,
} as const;

/** What the front and the helper say to each other, and what each takes from whom it does not trust. */
export const WIRE_LIMITS = {
  /** Bytes of a request, and of an answer. */
  request: 16_384,
  answer: 16 * 1024 * 1024,
  /** Arrays and objects in each other, in a request. */
  depth: 3,
  /** How long a request may take to arrive whole, and an answer to be taken. */
  seconds: 10,
  /** How long the helper waits for a device to be held, before others have their turn. */
  holdSeconds: 300,
  /** How long whoever asks waits for the answer: a device may take long to be let go. */
  answerSeconds: 900,
  /** Connections at once: of one user, and of all. */
  connectionsOfUser: 8,
  connections: 64,
  /** Requests that wait for their turn, of one user. */
  waiting: 8,
  /** Requests of one user that are begun: a second, and at once. */
  perSecond: 10,
  burst: 20,
  /** The name of an entry of the spool. */
  entry: 128,
  /** A request for figures: what a server of HTTP reads before it answers. */
  httpRequest: 8192,
} as const;

/** The helper, and the processes that hold devices for it. */
export const HOLDER_LIMITS = {
  /** Descriptors that it is given when it is started. */
  passed: 4096,
  /** One line between the two, in UTF-16 units. */
  line: 4096,
  /** How long a holder may take to say what it holds: it is asked once, and does nothing else for long. */
  answerSeconds: 30,
} as const;

/** Devices that were taken out of service, and what lets them out. */
export const QUARANTINE_LIMITS = {
  incident: 65_536,
  /** Why, in UTF-16 units. */
  reason: 500,
  /** An envelope with a statement of release. */
  statement: 262_144,
  /** How long such a statement may be good for. */
  releaseSeconds: 3600,
  /** Bytes that are kept for an incident on a disk that is full. */
  reserve: 65_536,
} as const;

/** RSA keys (RFC 8017). */
export const RSA_LIMITS = {
  /** TUF 1.0.34 section 4.2.2: at least 2048 bits. */
  minimumModulusBits: 2048,
  /** What a verification costs grows with the square of the modulus. */
  maximumModulusBits: 8192,
  /** FIPS 186-5 A.1.1: odd and above 2^16; smaller ones have been broken by lax verifiers. */
  minimumExponent: 65_537,
  /** The cost grows with its length too; other clients of the field stop here as well. */
  maximumExponent: 2 ** 31 - 1,
} as const;

/** The vendor's tool. */
export const PUBLISHER_LIMITS = {
  config: 262_144,
  provenance: 1_048_576,
  /** The log of signed bins; it is made shorter long before. */
  binLog: 64 * 1024 * 1024,
  /** A list of artifacts to publish together, and how many stand in it. */
  list: 8 * 1024 * 1024,
  artifacts: 10_000,
  /** Test results, or certificates, that one line of it names. */
  stated: 64,
  /** Bins that are renewed and handed in together. */
  binsAtOnce: 1024,
  /** Files of a folder of which a bill of materials is made, and how deep they lie. */
  folderFiles: 50_000,
  folderDepth: 64,
  /** Where a file says its licence, if it does. */
  licenceBytes: 65_536,
  certificate: 65_536,
  /** Waits for an answer so long: the service may have to make a gigabyte durable first. */
  responseSeconds: 300,
  /** Attempts before an upload that makes no progress is given up, */
  attempts: 5,
  /** and the bytes that are progress. */
  progress: 1024 * 1024,
  /** Waits so long for a submission to be judged and published. */
  submissionSeconds: 600,
} as const;

/** The transformation pipeline (`ironport extract|apply|suggest`). */
export const PIPELINE_LIMITS = {
  pattern: 1_048_576,
  /** Entries of a pattern's mapping. */
  mapping: 65_536,
  /** One name of a function or symbol. */
  name: 512,
  /** What the metadata of a pattern says of its version, its kernel or its family. */
  label: 128,
  /** A source in C or LLVM text; the largest driver source of Linux 6.1 has 1.75 MB. */
  source: 2 * 1024 * 1024,
  /** How much of a processor one source may take to parse. */
  parseSeconds: 5,
  /**
   * How much a process may grow while it parses one source, in bytes. 2 MiB of calls, more than any driver
   * of Linux has, take 600 MiB; what keeps all its meanings open to the end takes three times that.
   */
  parseMemory: 1024 * 1024 * 1024,
  /** An input that is patched as bytes, and what an external build step may give back. */
  binary: 64 * 1024 * 1024,
  patches: 1024,
  /** Bytes that one binary patch looks for. */
  patch: 4096,
  /** Pairs of calls compared for one function when a pattern is extracted. */
  alignment: 4_000_000,
  /** Shown of what an external build step wrote, when it failed. */
  externalOutput: 4096,
} as const;
