/**
 * Ed25519 keys of a running ssh-agent. `ssh-agent:` alone when it holds one such key, otherwise
 * `ssh-agent:SHA256:…` (what `ssh-add -l` prints) or `ssh-agent:COMMENT`.
 *
 * The agent signs the bytes as they are: for Ed25519 what it makes is the plain signature of RFC
 * 8032, with no frame of SSH around the message.
 */

import { createHash } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { concatBytes, fromUtf8, toBase64 } from '../../bytes.ts';
import { ed25519Key, type PublicKey } from '../../crypto/key.ts';
import type { Signer } from '../../crypto/signer.ts';
import { IronError, isIronError } from '../../errors.ts';
import { SIGNER_LIMITS } from '../../limits.ts';
import type { PassphraseSource } from './passphrase.ts';
import { SshReader, sshString, uint32 } from './ssh-wire.ts';

const SOCKET_VARIABLE = 'SSH_AUTH_SOCK';

/** draft-ietf-sshm-ssh-agent 6.1 */
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;

interface Identity {
  readonly key: PublicKey<'ed25519'>;
  readonly blob: Uint8Array;
  readonly comment: string;
  readonly fingerprint: string;
}

/** The key that `rest` (after `ssh-agent:`) names. `E_CONFIG` without an agent, `E_NOT_FOUND`. */
export async function openSshAgent(rest: string, source: PassphraseSource): Promise<Signer> {
  const socket = source.env[SOCKET_VARIABLE];
  if (socket === undefined || socket === '') {
    throw new IronError('E_CONFIG', 'no ssh-agent runs here', {
      why: `${SOCKET_VARIABLE} is not set`,
      hint: 'start one: `eval $(ssh-agent)`, then `ssh-add KEY`',
    });
  }
  const { key, blob } = choose(await identities(socket), rest);
  return {
    key,
    async sign(message) {
      const request = concatBytes(
        Uint8Array.of(SIGN_REQUEST),
        sshString(blob),
        sshString(message),
        uint32(0),
      );
      if (request.length > SIGNER_LIMITS.agentMessage) {
        throw new IronError('E_TOO_LARGE', `ssh-agent does not sign ${message.length} bytes`, {
          why: `a message to it has at most ${SIGNER_LIMITS.agentMessage} bytes`,
          hint: 'nothing was signed; sign with a key file or a PKCS#11 token, or split the role',
        });
      }
      const answer = new SshReader(await ask(socket, request));
      if (answer.byte() !== SIGN_RESPONSE) {
        throw new IronError('E_KEY', 'ssh-agent refused to sign', {
          why: 'the key is not there any more, or whoever had to confirm it did not',
          hint: 'nothing was signed; look at `ssh-add -l`',
        });
      }
      const signature = new SshReader(answer.string());
      answer.end();
      const type = fromUtf8(signature.string());
      const bytes = signature.string();
      signature.end();
      if (type !== 'ssh-ed25519' || bytes.length !== 64)
        throw new IronError('E_SIGNATURE', 'ssh-agent made a signature of another kind');
      return Uint8Array.from(bytes);
    },
  };
}

/** The keys that the agent holds and that we can use. */
async function identities(socket: string): Promise<Identity[]> {
  const reader = new SshReader(await ask(socket, Uint8Array.of(REQUEST_IDENTITIES)));
  if (reader.byte() !== IDENTITIES_ANSWER)
    throw new IronError('E_KEY', 'ssh-agent does not say which keys it holds');
  const count = reader.uint32();
  const found: Identity[] = [];
  for (let i = 0; i < count; i++) {
    const blob = Uint8Array.from(reader.string());
    const comment = reader.text();
    const key = ed25519Of(blob);
    const digest = createHash('sha256').update(blob).digest();
    const fingerprint = `SHA256:${toBase64(digest).replace(/=+$/, '')}`;
    if (key !== undefined) found.push({ key, blob, comment, fingerprint });
  }
  reader.end();
  return found;
}

/** Keys of other kinds, certificates and tokens that add to what they sign are passed over. */
function ed25519Of(blob: Uint8Array): PublicKey<'ed25519'> | undefined {
  try {
    const reader = new SshReader(blob);
    if (fromUtf8(reader.string()) !== 'ssh-ed25519') return undefined;
    const key = ed25519Key(reader.string());
    reader.end();
    return key;
  } catch (error) {
    if (isIronError(error)) return undefined;
    throw error;
  }
}

function choose(list: readonly Identity[], wanted: string): Identity {
  const fitting = list.filter(
    ({ fingerprint, comment }) => wanted === '' || wanted === fingerprint || wanted === comment,
  );
  const [identity] = fitting;
  const held = list.map(({ fingerprint, comment }) => `${fingerprint} (${comment})`).join(', ');
  if (identity === undefined) {
    throw new IronError('E_NOT_FOUND', `ssh-agent does not hold ${wanted || 'an Ed25519 key'}`, {
      why: `its Ed25519 keys: ${held || 'none'}`,
      hint: 'nothing was signed; `ssh-add KEY` gives it one',
    });
  }
  if (fitting.length > 1)
    throw new IronError('E_USAGE', `ssh-agent holds several keys that fit: ${held}`, {
      hint: 'nothing was signed; name one by its fingerprint: ssh-agent:SHA256:…',
    });
  return identity;
}

/** One request and its answer, over a connection of its own. */
async function ask(path: string, request: Uint8Array): Promise<Uint8Array> {
  const socket = createConnection({ path });
  try {
    return await exchange(socket, concatBytes(uint32(request.length), request));
  } catch (error) {
    if (error instanceof IronError) throw error;
    throw new IronError('E_CONFIG', 'the ssh-agent cannot be reached', {
      why: error instanceof Error ? error.message : String(error),
      hint: `look where ${SOCKET_VARIABLE} leads`,
      cause: error,
    });
  } finally {
    socket.destroy();
  }
}

function exchange(socket: Socket, request: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let read: Uint8Array = new Uint8Array(0);
    // Whoever has to confirm or touch something needs a while.
    socket.setTimeout(SIGNER_LIMITS.patienceSeconds * 1000, () =>
      reject(new IronError('E_SLOW', 'ssh-agent did not answer')),
    );
    socket.on('error', reject);
    socket.on('data', (part) => {
      read = concatBytes(read, part);
      if (read.length < 4) return;
      const length = new SshReader(read).uint32();
      if (length === 0 || length > SIGNER_LIMITS.agentMessage) {
        reject(new IronError('E_TOO_LARGE', `ssh-agent answers with ${length} bytes`));
      } else if (read.length >= 4 + length) {
        resolve(read.subarray(4, 4 + length));
      }
    });
    socket.on('end', () => reject(new IronError('E_KEY', 'ssh-agent broke off')));
    socket.write(request);
  });
}
