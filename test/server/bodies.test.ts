/** Bodies of requests from whom nobody knows: what they may cost. */

import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { OPERATOR_FILES_SCHEMA } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { readJsonFile } from '../../shared/node/files.ts';
import { signedRole, signedTargets, testArtifact } from '../support/repository.ts';
import { call, codeOf, running } from './support.ts';

t.test('strangers fill the room of strangers, and no more', async (t) => {
  const { home, acme, operators, caller, service, failures } = await running(t);
  const { port } = new URL(service.url);
  const answers: string[] = [];
  const open = async (): Promise<Socket> => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('data', (bytes) => answers.push(String(bytes).split(' ')[1] ?? ''));
    socket.on('error', () => {});
    socket.write(
      `POST ${api.operatorFiles} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${SERVER_LIMITS.body}\r\n\r\n`,
    );
    await new Promise<void>((resolve) => {
      socket.write(new Uint8Array(SERVER_LIMITS.body - 1), () => resolve());
    });
    return socket;
  };
  // Each one byte short of its end.
  const sockets: Socket[] = [];
  const fit = SERVER_LIMITS.bodies / SERVER_LIMITS.body;
  for (let i = 0; i < fit + 2; i++) sockets.push(await open());
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 100 && answers.length < 2; i++) await setTimeout(20);
  t.same(answers, ['503', '503']);

  const targets = await signedTargets(operators, 2, [acme]);
  const body = utf8(
    JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: [targets].map(toBase64) }),
  );
  const headers = { 'content-type': 'application/json' };
  // As many bytes that mean nothing, until what the sockets sent has all arrived.
  const noise = utf8('x'.repeat(body.length));
  const stranger = async (): Promise<string> =>
    codeOf(await call(service.url, 'POST', api.operatorFiles, headers, noise));
  let told = await stranger();
  for (let i = 0; i < 100 && told !== 'E_TRY_AGAIN'; i++) {
    await setTimeout(20);
    told = await stranger();
  }
  t.equal(told, 'E_TRY_AGAIN');
  const note = (await readJsonFile(`${home}/private/service.json`, 4096)) as { token: string };
  const owner = { ...headers, authorization: `Bearer ${note.token}` };
  t.equal((await call(service.url, 'POST', api.operatorFiles, owner, body)).status, 202);
  const artifact = await testArtifact(acme);
  await caller.uploadAll([artifact]);
  t.equal((await caller.submit('acme', await signedRole(acme, 1, [artifact]))).state, 'published');

  for (const socket of sockets) socket.destroy();
  let code = 'E_TRY_AGAIN';
  for (let i = 0; i < 100 && code === 'E_TRY_AGAIN'; i++) {
    await setTimeout(20);
    code = codeOf(await call(service.url, 'POST', api.operatorFiles, headers, body));
  }
  t.equal(code, 'E_CONFLICT', 'the room is free again');
  t.same(failures, [], 'none of it is for the operator to look at');
});

t.test('a caller who goes away is no failure of ours', async (t) => {
  const { service, failures } = await running(t);
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.write(
    `POST ${api.operatorFiles} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      'Content-Length: 100\r\n\r\n{',
  );
  await setTimeout(100);
  socket.destroy();
  await setTimeout(100);
  t.same(failures, []);
});
