/** `launch-child.ts launch|spawn PROGRAM`: starts it, says its process id, and waits to be killed. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { launch } from '../../agent/host/launch.ts';
import { sealed, WITH } from './launch-support.ts';

const [, , how, path = ''] = process.argv;
const { pid } =
  how === 'launch'
    ? await launch({ ...WITH, program: sealed(readFileSync(path)) })
    : spawn(path, { detached: true, stdio: 'ignore' });
process.stdout.write(`${pid}\n`);
setInterval(() => {}, 1000);
