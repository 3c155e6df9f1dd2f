/**
 * What outlives the helper: a note about each holder, on the disk, and the socket to it, with the service
 * manager. A holder ends when nobody has the other end of its socket; so one that is kept goes on, and one
 * that could not be kept ends with the helper, as without a manager.
 */

import { asIronError } from '../../shared/errors.ts';
import type { Agent } from '../agent.ts';
import { loadBinding } from '../binding.ts';
import { readBootId } from '../host/host-facts.ts';
import { notify } from '../host/notify.ts';
import { processName } from '../host/process.ts';
import { removeNote, storeNote } from './holder-note.ts';
import { holderName } from './passed.ts';

/** A manager that keeps descriptors: sd_pid_notify_with_fds(3), FDSTORE. */
export class DescriptorStore {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** `E_IO`. The manager does not say whether it took it. */
  keep(name: string, fd: number): void {
    notify(this.#socket, `FDSTORE=1\nFDNAME=${name}`, [fd]);
  }

  /** Of what it does not have, it drops nothing. `E_IO`. */
  drop(name: string): void {
    notify(this.#socket, `FDSTOREREMOVE=1\nFDNAME=${name}`);
  }
}

/** The manager that started this process, when one did that can be told something. */
export function storeOf(
  env: Readonly<Record<string, string | undefined>>,
): DescriptorStore | undefined {
  const { NOTIFY_SOCKET } = env;
  return NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === ''
    ? undefined
    : new DescriptorStore(NOTIFY_SOCKET);
}

export class Keeping {
  readonly #agent: Agent;
  readonly #store: DescriptorStore;
  readonly #onLost: (device: string, text: string) => void;
  /** Names by which sockets are kept, by device. */
  readonly #names = new Map<string, string>();
  #written: Promise<void> = Promise.resolve();

  constructor(
    agent: Agent,
    store: DescriptorStore,
    onLost: (device: string, text: string) => void,
  ) {
    this.#agent = agent;
    this.#store = store;
    this.#onLost = onLost;
  }

  /**
   * Keeps the socket to the process `pid`, which holds `device`. Resolves when it was tried. `socket` is asked
   * when all else is known, since its number is another's once it is closed: undefined when it is, or when the
   * process ended, whose number may be another's too.
   */
  keep(device: string, pid: number, socket: () => number | undefined): Promise<void> {
    return this.#inTurn(device, async () => {
      const agent = this.#agent;
      const binding = await loadBinding(agent, device);
      const process = await processName(pid, agent.proc);
      if (binding === undefined || process === undefined) return;
      const { domain, grantSha256 } = binding;
      const boot = await readBootId(agent.proc);
      if (socket() === undefined) return;
      this.#names.set(device, holderName(domain));
      // First the note: a descriptor without one is believed by nobody.
      await storeNote(agent, { device, domain, grantSha256, boot, process });
      const fd = socket();
      if (fd === undefined) await removeNote(agent, device);
      else this.#store.keep(holderName(domain), fd);
    });
  }

  /** From an earlier helper, with its note. */
  takeOver(device: string, domain: number): void {
    this.#names.set(device, holderName(domain));
  }

  /**
   * Its holder ended. One that was never kept has no note: what there is then is about another process, which
   * an earlier helper could not end.
   */
  forget(device: string): Promise<void> {
    return this.#inTurn(device, async () => {
      const name = this.#names.get(device);
      if (name === undefined) return;
      this.#names.delete(device);
      await removeNote(this.#agent, device);
      this.#store.drop(name);
    });
  }

  /** What an earlier helper left, and is not taken over. */
  drop(name: string): void {
    // What no manager would call anything is not said to it.
    if (!/^[!-9;-~]{1,255}$/.test(name)) return;
    try {
      this.#store.drop(name);
    } catch (error) {
      this.#onLost(name, asIronError(error).message);
    }
  }

  /** Resolves when all of it was tried. */
  settled(): Promise<void> {
    return this.#written;
  }

  #inTurn(device: string, act: () => Promise<void>): Promise<void> {
    this.#written = this.#written.then(act).catch((error) => {
      const { message } = asIronError(error);
      this.#onLost(device, `it is not kept for a helper that comes after this one: ${message}`);
    });
    return this.#written;
  }
}
