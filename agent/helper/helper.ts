/**
 * The helper: has every right of the agent and no network, and is asked over a socket by a front that it
 * takes for hostile. It decides by what it keeps itself, its pinned root, its floors, the policy that
 * operators signed, and by bytes that it verifies itself; a request only says which of that is meant.
 */

import type { Socket } from 'node:net';
import { asIronError, IronError } from '../../shared/errors.ts';
import { peerOf } from '../host/peer.ts';
import { type Answer, formatAnswer } from '../wire/answer.ts';
import { formOf, parseRequest, type Request } from '../wire/request.ts';
import { type Peer, type Served, serve } from '../wire/serve.ts';
import { type Performing, perform } from './perform.ts';
import { Pace, Turns } from './turns.ts';

export interface HelperOptions extends Performing {
  readonly socket: string;
  /** Users whose processes may ask. */
  readonly users: ReadonlySet<number>;
  readonly seconds?: number;
}

export class Helper {
  readonly #options: HelperOptions;
  /** What changes something goes one after another; what only reads does not wait for it. */
  readonly #changes = new Turns();
  readonly #reads = new Turns();
  readonly #paces = new Map<number, Pace>();

  private constructor(options: HelperOptions) {
    this.#options = options;
  }

  /** Begins to serve. */
  static async start(options: HelperOptions): Promise<Served> {
    const helper = new Helper(options);
    const { socket: path, verdicts, seconds } = options;
    return await serve({
      path,
      // Everybody may connect: who is served is decided by what the kernel says of them.
      mode: 0o666,
      admit: (socket) => helper.#admit(socket),
      answer: (message, peer, isThere) => helper.#answer(message, peer, isThere),
      dropped: ({ user }, { code }: IronError) => verdicts.counted('connection', user, code),
      ...(seconds === undefined ? {} : { seconds }),
    });
  }

  #admit(socket: Socket): Peer | undefined {
    const { users, verdicts } = this.#options;
    const peer = peerOf(socket);
    if (peer !== undefined && users.has(peer.user)) return peer;
    verdicts.counted('connection', null, 'E_UNAUTHENTICATED');
    return undefined;
  }

  async #answer(message: Uint8Array, peer: Peer, isThere: () => boolean): Promise<Uint8Array> {
    await this.#paceOf(peer.user).turn(isThere);
    const { verdicts } = this.#options;
    let request: Request;
    try {
      request = parseRequest(message);
    } catch (thrown) {
      const error = asIronError(thrown);
      verdicts.counted('request', peer.user, error.code);
      return formatAnswer(refusal('ironport-agent/error/v1', error));
    }
    const changes = formOf(request.command)?.changes !== false;
    try {
      const turns = changes ? this.#changes : this.#reads;
      // A device is stopped before anything else is begun.
      const isUrgent = request.command === 'quarantine enter';
      const act = (): Promise<Answer> => this.#perform(request, peer, changes, isThere);
      return formatAnswer(await turns.run(peer.user, act, isUrgent));
    } catch (thrown) {
      const error = asIronError(thrown);
      verdicts.counted(request.command, peer.user, error.code);
      return formatAnswer(refusal(`ironport-agent/${request.command.replace(' ', '-')}/v1`, error));
    }
  }

  async #perform(
    request: Request,
    peer: Peer,
    changes: boolean,
    isThere: () => boolean,
  ): Promise<Answer> {
    const { verdicts, own } = this.#options;
    // Whoever went away while waiting wants it no more, and stopping begins nothing new.
    own.signal.throwIfAborted();
    if (!isThere()) throw new IronError('E_CANCELLED', 'whoever asked went away');
    const answer = await perform(this.#options, request, peer);
    const verdict = 'error' in answer.outcome ? answer.outcome.error.code : 'ok';
    if (changes) await verdicts.changed(request, peer, verdict);
    else verdicts.counted(request.command, peer.user, verdict);
    return answer;
  }

  #paceOf(user: number): Pace {
    const pace = this.#paces.get(user) ?? new Pace();
    this.#paces.set(user, pace);
    return pace;
  }
}

function refusal(schema: string, error: IronError): Answer {
  return { exit: error.exit, schema, outcome: { error } };
}
