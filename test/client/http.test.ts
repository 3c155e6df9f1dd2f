// The HTTP fetcher against a real server on loopback that does everything a server can do wrong.

import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { HttpFetcher } from '../../client/fetch/http.ts';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { answer, type Served, serve } from '../support/serve.ts';

const BIG = new Uint8Array(300_000).map((_, i) => (i * 31) & 0xff);
const files = new Map<string, Uint8Array>([
  ['metadata/timestamp.json', utf8('{"a":1}')],
  ['metadata/1.%2E.json', utf8('{}')],
  ['targets/a/b c.bin', BIG],
]);

type Misbehaviour = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

/** Bytes from which on a file is a large one, which undici carries: none, and then all. */
let bulk = Number.POSITIVE_INFINITY;

async function withServer<T>(
  misbehave: Misbehaviour,
  act: (fetcher: HttpFetcher, served: Served, waits: number[]) => Promise<T>,
): Promise<T> {
  const served = await serve({ serve: (path) => files.get(path) });
  served.misbehave = misbehave;
  const waits: number[] = [];
  const fetcher = new HttpFetcher({
    metadata: `${served.url}metadata`,
    targets: `${served.url}targets/`,
    bulk,
    random: () => 0.5,
    sleep: async (seconds) => {
      waits.push(seconds);
    },
  });
  try {
    return await act(fetcher, served, waits);
  } finally {
    await fetcher.close();
    await served.close();
  }
}

const honest: Misbehaviour = () => false;
const TIMESTAMP = 'metadata/timestamp.json';
const TARGET = 'targets/a/b c.bin';

async function read(fetcher: HttpFetcher, ...args: Parameters<HttpFetcher['openFile']>) {
  const opened = await fetcher.openFile(...args);
  const parts: Uint8Array[] = [];
  for await (const piece of opened.pieces) parts.push(piece);
  return { ...opened, bytes: concatBytes(...parts) };
}

for (const from of [bulk, 0]) {
  t.test(`a file is large from ${from} bytes on`, async (t) => {
    bulk = from;
    t.test('files that are there, and files that are not', async (t) => {
      await withServer(honest, async (fetcher, served) => {
        t.strictSame(await fetcher.fetchFile(TIMESTAMP, 100), utf8('{"a":1}'));
        t.equal(await fetcher.fetchFile('metadata/2.root.json', 100), undefined);
        t.strictSame(
          await fetcher.fetchFile('metadata/1.%2E.json', 100),
          utf8('{}'),
          'names stay encoded',
        );
        t.strictSame((await read(fetcher, TARGET, BIG.length)).bytes, BIG);
        await t.rejects(fetcher.openFile('targets/none', 1), { code: 'E_NOT_FOUND' });
        t.equal(served.log.length, 5, 'one request each');
      });
      for (const status of [403, 404, 410]) {
        await withServer(
          (_, response) => {
            response.writeHead(status).end('nothing');
            return true;
          },
          async (fetcher, served) => {
            t.equal(await fetcher.fetchFile(TIMESTAMP, 100), undefined, `status ${status}`);
            t.equal(served.log.length, 1);
          },
        );
      }
    });

    t.test('endless data: over the cap, announced or not', async (t) => {
      await withServer(honest, async (fetcher) => {
        await t.rejects(fetcher.fetchFile(TIMESTAMP, 6), { code: 'E_TOO_LARGE' });
        t.strictSame(
          await fetcher.fetchFile(TIMESTAMP, 7),
          utf8('{"a":1}'),
          'exactly the cap is fine',
        );
        await t.rejects(read(fetcher, TARGET, BIG.length - 1), { code: 'E_LENGTH' });
      });
      let sent = 0;
      const endless: Misbehaviour = (_, response) => {
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(BIG)) sent += BIG.length;
        };
        response.on('drain', more);
        more();
        return true;
      };
      await withServer(endless, async (fetcher) => {
        await t.rejects(fetcher.fetchFile(TIMESTAMP, 1000), { code: 'E_TOO_LARGE' });
        await t.rejects(read(fetcher, TARGET, BIG.length), { code: 'E_LENGTH' });
        t.ok(sent < 64 * 1024 * 1024, `the server was stopped after ${sent} bytes`);
      });
    });

    t.test(
      'a server that fails for a moment is asked again, with longer and longer waits',
      async (t) => {
        for (const status of [500, 502, 503, 429]) {
          let failures = 2;
          await withServer(
            (_, response) => {
              if (failures-- <= 0) return false;
              response.writeHead(status, status === 503 ? { 'retry-after': '3' } : {}).end();
              return true;
            },
            async (fetcher, _, waits) => {
              t.strictSame(
                await fetcher.fetchFile(TIMESTAMP, 100),
                utf8('{"a":1}'),
                `status ${status}`,
              );
              const asked = status === 503 ? 3 : 0;
              t.strictSame(waits, [asked + 0.25, asked + 0.5]);
            },
          );
        }
      },
    );

    t.test('a server that goes on failing, or refuses for good', async (t) => {
      for (const [status, requests] of [
        [500, TRANSPORT_LIMITS.retries + 1],
        [400, 1],
        [401, 1],
        [418, 1],
        [206, 1],
        [204, 1],
      ] as const) {
        await withServer(
          (_, response) => {
            response.writeHead(status).end();
            return true;
          },
          async (fetcher, served) => {
            await t.rejects(
              fetcher.fetchFile(TIMESTAMP, 100),
              { code: 'E_NETWORK' },
              `status ${status}`,
            );
            t.equal(served.log.length, requests);
            await t.rejects(fetcher.openFile(TARGET, BIG.length), { code: 'E_NETWORK' });
          },
        );
      }
    });

    t.test('nobody listens', async (t) => {
      const served = await serve({ serve: () => undefined });
      await served.close();
      const fetcher = new HttpFetcher({
        metadata: served.url,
        targets: served.url,
        random: Math.random,
        sleep: async () => {},
      });
      await t.rejects(fetcher.fetchFile(TIMESTAMP, 1), {
        code: 'E_NETWORK',
        why: 'nothing listens there',
      });
    });

    t.test('a body that breaks off is taken up where it broke off', async (t) => {
      const cuts = [100_000, 150_000, 20_000];
      await withServer(
        (request, response, path) => {
          if (path !== TARGET || cuts.length === 0) return false;
          const cut = cuts.shift() as number;
          answer(
            { serve: (name) => files.get(name) },
            request,
            {
              writeHead: (status: number, headers: Record<string, string | number>) => {
                response.writeHead(status, headers);
                return response;
              },
              end: (bytes: Uint8Array) => {
                response.write(bytes.subarray(0, cut), () => response.destroy());
                return response;
              },
            } as unknown as ServerResponse,
            path,
          );
          return true;
        },
        async (fetcher, served) => {
          t.strictSame((await read(fetcher, TARGET, BIG.length)).bytes, BIG);
          t.equal(served.log.length, 4);
          t.equal(served.log[1], `${TARGET} bytes=100000-`);
        },
      );
    });

    t.test('a body that breaks off and is another file when it is asked for again', async (t) => {
      let first = true;
      await withServer(
        (_, response, path) => {
          if (path !== TARGET) return false;
          response.writeHead(200, {
            etag: first ? '"one"' : '"two"',
            'content-length': BIG.length,
          });
          if (first) response.write(BIG.subarray(0, 1000), () => response.destroy());
          else response.end(BIG);
          first = false;
          return true;
        },
        async (fetcher) => {
          await t.rejects(read(fetcher, TARGET, BIG.length), { code: 'E_NETWORK' });
        },
      );
    });

    t.test('resume across runs: by a strong validator, and only then', async (t) => {
      await withServer(honest, async (fetcher) => {
        const { validator } = await read(fetcher, TARGET, BIG.length);
        t.match(validator, /^"[0-9a-f]{64}"$/);
        const rest = await read(fetcher, TARGET, BIG.length, {
          offset: 1000,
          validator: validator ?? '',
        });
        t.equal(rest.start, 1000);
        t.strictSame(rest.bytes, BIG.subarray(1000));
        const changed = await read(fetcher, TARGET, BIG.length, {
          offset: 1000,
          validator: '"old"',
        });
        t.equal(changed.start, 0);
        t.strictSame(changed.bytes, BIG);
        const whole = await read(fetcher, TARGET, BIG.length, {
          offset: BIG.length,
          validator: validator ?? '',
        });
        t.equal(whole.start, 0, 'nothing is left to ask for');
      });
      for (const etag of ['W/"weak"', 'bare', '"a\tb"', undefined]) {
        await withServer(
          (_, response) => {
            response.writeHead(200, etag === undefined ? {} : { etag }).end(BIG);
            return true;
          },
          async (fetcher) => {
            t.equal((await read(fetcher, TARGET, BIG.length)).validator, undefined, `${etag}`);
          },
        );
      }
    });

    t.test('a 206 that begins elsewhere than was asked', async (t) => {
      for (const range of ['bytes 0-9/10', 'bytes 999-1009/1010', 'items 1000-1/2', '']) {
        await withServer(
          (_, response) => {
            response.writeHead(206, { 'content-range': range }).end('0123456789');
            return true;
          },
          async (fetcher) => {
            const resume = { offset: 1000, validator: '"x"' };
            await t.rejects(fetcher.openFile(TARGET, 2000, resume), { code: 'E_NETWORK' }, range);
          },
        );
      }
    });

    t.test('coded bodies are refused: bytes are hashed as they were published', async (t) => {
      await withServer(
        (_, response) => {
          response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
          return true;
        },
        async (fetcher) => {
          await t.rejects(fetcher.openFile(TARGET, 2000), { code: 'E_NETWORK' });
        },
      );
    });

    t.test('redirects: a few, and only to the web', async (t) => {
      const redirectTo = (location: (path: string) => string | undefined): Misbehaviour => {
        return (_, response, path) => {
          const to = location(path);
          if (to === undefined) return false;
          response.writeHead(302, { location: to }).end();
          return true;
        };
      };
      await withServer(
        redirectTo((path) =>
          path === 'metadata/moved.json' ? '/metadata/timestamp.json' : undefined,
        ),
        async (fetcher) => {
          t.strictSame(await fetcher.fetchFile('metadata/moved.json', 100), utf8('{"a":1}'));
        },
      );
      for (const location of [
        '/metadata/loop.json',
        'file:///etc/passwd',
        'ftp://x/',
        'http://[',
      ]) {
        await withServer(
          redirectTo(() => location),
          async (fetcher, served) => {
            await t.rejects(fetcher.fetchFile(TIMESTAMP, 100), { code: 'E_NETWORK' }, location);
            t.ok(served.log.length <= TRANSPORT_LIMITS.redirects + 1);
          },
        );
      }
    });

    t.test('stopping: before the answer, in the middle of it, and between tries', async (t) => {
      await withServer(
        () => true,
        async (fetcher, served) => {
          const stop = new AbortController();
          const waiting = fetcher.fetchFile(TIMESTAMP, 100, { signal: stop.signal });
          while (served.log.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
          stop.abort(new Error('enough'));
          await t.rejects(waiting, { message: 'enough' });
        },
      );
      await withServer(
        (_, response) => {
          response.writeHead(200, { 'content-length': BIG.length }).write(BIG.subarray(0, 1000));
          return true;
        },
        async (fetcher) => {
          const stop = new AbortController();
          const { pieces } = await fetcher.openFile(TARGET, BIG.length, undefined, {
            signal: stop.signal,
          });
          const reading = (async () => {
            for await (const _ of pieces) stop.abort(new Error('enough'));
          })();
          await t.rejects(reading, { message: 'enough' });
        },
      );
    });

    t.test('addresses that are none', async (t) => {
      for (const base of ['ftp://x/', 'http://x/?a', 'http://x/#a', 'x', 'http://user:secret@x/']) {
        const options = { metadata: base, targets: base, random: Math.random };
        t.throws(() => new HttpFetcher(options), { code: 'E_USAGE' }, base);
      }
    });
  });
}
