/** Holds nothing, and says what it would hold: `apply DEVICE --hold --supervised 3`. */

import { Socket } from 'node:net';
import process from 'node:process';
import { answerTo, onLines } from '../../agent/helper/ask-holder.ts';

const [, , , device = ''] = process.argv;
const says = process.env.IRONPORT_TEST_SAYS ?? 'what it holds';
const socket = new Socket({ fd: 3, readable: true, writable: true });
socket.on('close', () => process.exit(0)).on('error', () => process.exit(1));
const grantSha256 = says === 'another grant' ? 'f'.repeat(64) : 'a'.repeat(64);
onLines(socket, (line) => {
  if (says === 'garbage') socket.write('{}\n');
  else if (says !== 'nothing')
    socket.write(`${answerTo(line, { device, grantSha256, pid: process.pid })}\n`);
});
socket.write(`${JSON.stringify({ device })}\n`);
