/**
 * A PKCS#11 module: loaded once a process, because it is one state for all of it. pkcs11js is an
 * optional package: without it, or without a module, the errors say what to do.
 */

import type { Mechanism, PKCS11, Template } from 'pkcs11js';
import { IronError } from '../../errors.ts';
import { type Pkcs11Uri, pkcs11Words, TOKEN_ATTRIBUTES } from './pkcs11-uri.ts';

export type Handle = Buffer;

/** Stands in for `module-path`, when many keys lie behind one module. */
export const MODULE_VARIABLE = 'IRONPORT_PKCS11_MODULE';

/** Numbers of PKCS#11 2.40 and 3.0; pkcs11js has no names for those of Edwards curves. */
export const CK = {
  login: { user: 1 },
  session: { readWrite: 2, serial: 4 },
  attribute: {
    class: 0x0,
    token: 0x1,
    private: 0x2,
    label: 0x3,
    keyType: 0x100,
    id: 0x102,
    sensitive: 0x103,
    sign: 0x108,
    verify: 0x10a,
    extractable: 0x162,
    ecParams: 0x180,
    ecPoint: 0x181,
  },
  class: { publicKey: 2, privateKey: 3 },
  keyType: { ec: 0x3, ecEdwards: 0x40 },
  mechanism: { ecKeyPairGen: 0x1040, ecdsa: 0x1041, edwardsKeyPairGen: 0x1055, eddsa: 0x1057 },
} as const;

const RV: Readonly<Record<number, string>> = {
  160: 'the PIN is not the right one',
  161: 'the PIN is not one that a token can have',
  162: 'the PIN is too short or too long',
  164: 'the PIN is locked after too many wrong ones',
  224: 'the token is not there any more',
  258: 'the token has no user PIN yet',
};
const ALREADY_LOGGED_IN = 0x100;
const ALREADY_INITIALIZED = 0x191;

const loaded = new Map<string, Pkcs11Module>();

/** The module of the URI, or of the environment. `E_CONFIG` when it cannot be had. */
export async function loadModule(
  uri: Pkcs11Uri,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pkcs11Module> {
  const path = uri.modulePath ?? env[MODULE_VARIABLE];
  if (path === undefined) {
    throw new IronError('E_CONFIG', 'nothing says which PKCS#11 module reaches the token', {
      hint: `add ?module-path=/PATH/OF/MODULE.so to the URI, or set ${MODULE_VARIABLE}`,
    });
  }
  let module = loaded.get(path);
  if (module === undefined) {
    module = new Pkcs11Module(await open(path), path);
    loaded.set(path, module);
  }
  return module;
}

async function open(path: string): Promise<PKCS11> {
  const { PKCS11 } = await loadLibrary();
  const library = new PKCS11();
  try {
    library.load(path);
    library.C_Initialize();
  } catch (cause) {
    if (codeOf(cause) === ALREADY_INITIALIZED) return library;
    throw new IronError('E_CONFIG', `${path} does not load as a PKCS#11 module`, {
      ...(cause instanceof Error ? { why: cause.message } : {}),
      hint: 'install the module of your token (softhsm2, opensc, …), or correct module-path',
      cause,
    });
  }
  // Some modules hang or crash when their process ends without it.
  process.once('exit', () => {
    try {
      library.C_Finalize();
    } catch {
      // The process is over.
    }
  });
  return library;
}

interface Library {
  readonly PKCS11: new () => PKCS11;
}

/** pkcs11js is compiled on installing, and may be missing for want of a compiler. */
async function loadLibrary(): Promise<Library> {
  try {
    const library: Library | { readonly default: Library } = await import('pkcs11js');
    // A CommonJS package: what it exports may only stand under `default`.
    return 'PKCS11' in library ? library : library.default;
  } catch (cause) {
    throw new IronError('E_CONFIG', 'PKCS#11 tokens need the package pkcs11js, which is not here', {
      why: 'it is optional, and compiled when it is installed',
      hint: 'install a C++ compiler, make and Python, then run `npm rebuild pkcs11js`; key files and ssh-agent work without',
      cause,
    });
  }
}

export class Pkcs11Module {
  readonly #library: PKCS11;
  readonly path: string;
  /** One session a slot, kept until the process ends: logging in is for all of them at once. */
  readonly #sessions = new Map<string, Handle>();

  constructor(library: PKCS11, path: string) {
    this.#library = library;
    this.path = path;
  }

  /** A session with the one token that the URI means. `E_NOT_FOUND`, `E_USAGE`. */
  session(uri: Pkcs11Uri): Handle {
    const slots = this.call(() => this.#library.C_GetSlotList(true));
    const fitting = slots.filter((slot) => this.#fits(slot, uri));
    const [slot] = fitting;
    if (slot === undefined) {
      throw new IronError('E_NOT_FOUND', `no token is there for ${pkcs11Words(uri)}`, {
        why: `${this.path} shows ${slots.length === 0 ? 'no token' : slots.map((it) => this.#label(it)).join(', ')}`,
        hint: 'nothing was signed; put the token in, or correct the URI',
      });
    }
    if (fitting.length > 1)
      throw new IronError('E_USAGE', `several tokens fit for ${pkcs11Words(uri)}`, {
        hint: 'say which with token=, serial= or slot-id=',
      });
    const at = slot.toString('hex');
    let session = this.#sessions.get(at);
    if (session === undefined) {
      const flags = CK.session.serial | CK.session.readWrite;
      session = this.call(() => this.#library.C_OpenSession(slot, flags));
      this.#sessions.set(at, session);
    }
    return session;
  }

  #fits(slot: Handle, { token, slotId }: Pkcs11Uri): boolean {
    if (slotId !== undefined && Number(slot.readBigUInt64LE()) !== slotId) return false;
    const info = this.call(() => this.#library.C_GetTokenInfo(slot));
    const said = {
      token: info.label,
      manufacturer: info.manufacturerID,
      model: info.model,
      serial: info.serialNumber,
    };
    return TOKEN_ATTRIBUTES.every(
      (name) => token[name] === undefined || token[name] === unpadded(said[name]),
    );
  }

  #label(slot: Handle): string {
    return unpadded(this.call(() => this.#library.C_GetTokenInfo(slot)).label) || 'an empty slot';
  }

  /** `E_KEY` when the PIN is not right. */
  login(session: Handle, pin: string): void {
    try {
      this.#library.C_Login(session, CK.login.user, pin);
    } catch (error) {
      if (codeOf(error) !== ALREADY_LOGGED_IN) throw asKeyError(error);
    }
  }

  find(session: Handle, template: Template): Handle[] {
    return this.call(() => {
      this.#library.C_FindObjectsInit(session, template);
      try {
        return this.#library.C_FindObjects(session, 8);
      } finally {
        this.#library.C_FindObjectsFinal(session);
      }
    });
  }

  attribute(session: Handle, object: Handle, type: number): Buffer {
    return this.call(() => {
      const [found] = this.#library.C_GetAttributeValue(session, object, [{ type }]);
      return found?.value as Buffer;
    });
  }

  sign(session: Handle, mechanism: number, key: Handle, data: Uint8Array, most: number): Buffer {
    return this.call(() => {
      this.#library.C_SignInit(session, { mechanism }, key);
      return this.#library.C_Sign(session, Buffer.from(data), Buffer.alloc(most));
    });
  }

  generate(session: Handle, mechanism: Mechanism, ofPublic: Template, ofPrivate: Template): void {
    this.call(() => this.#library.C_GenerateKeyPair(session, mechanism, ofPublic, ofPrivate));
  }

  /** What the module refuses, as one of our errors. */
  call<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw asKeyError(error);
    }
  }
}

/** PKCS#11 2.40 3.2: padded with blanks, without an end. */
function unpadded(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: some modules pad with NUL
  return text.replace(/[ \u0000]+$/, '');
}

function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

function asKeyError(error: unknown): IronError {
  if (error instanceof IronError) return error;
  const code = codeOf(error);
  const why = (code === undefined ? undefined : RV[code]) ?? String(error);
  return new IronError('E_KEY', 'the token refused', {
    why,
    hint: 'nothing was signed',
    cause: error,
  });
}
