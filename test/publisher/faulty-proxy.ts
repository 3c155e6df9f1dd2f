/** A proxy in front of the real service that cuts connections where a test says so. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class FaultyProxy {
  readonly #server: Server;
  /** Port of the service on loopback. */
  target = 0;
  /** Bytes that may pass towards the service before the next cut; none while undefined. */
  #budget: number | undefined;
  /** What is waited for between the last byte that passes and the cut. */
  #arrived: () => Promise<void> = async () => {};
  /** Bytes that reached the service in all. */
  passed = 0;
  cuts = 0;

  constructor() {
    this.#server = createServer((socket) => this.#join(socket));
  }

  /** Returns host and port. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * Cuts the connection after so many more bytes, and when `arrived` says that the service has
   * taken them: what still lies in a socket when the line dies is lost, however much that is.
   */
  cutAfter(bytes: number, arrived: () => Promise<void>): void {
    this.#budget = bytes;
    this.#arrived = arrived;
  }

  close(): void {
    this.#server.close();
    this.#server.unref();
  }

  #join(socket: Socket): void {
    const service = connect(this.target, '127.0.0.1');
    const end = (): void => {
      socket.destroy();
      service.destroy();
    };
    for (const side of [socket, service]) side.on('error', end).on('close', end);
    service.pipe(socket);
    socket.on('data', (bytes) => {
      const allowed = this.#budget === undefined ? bytes : bytes.subarray(0, this.#budget);
      this.passed += allowed.length;
      if (this.#budget !== undefined) this.#budget -= allowed.length;
      if (!service.write(allowed)) {
        socket.pause();
        service.once('drain', () => socket.resume());
      }
      if (allowed.length < bytes.length) {
        this.#budget = undefined;
        this.cuts += 1;
        socket.pause();
        void this.#arrived().finally(end);
      }
    });
  }
}
