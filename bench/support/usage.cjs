// Preloaded into a program that is measured: it says itself, as it ends, what it used. CommonJS,
// because that is the preload that costs the least.
'use strict';
const { appendFileSync, readFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const file = process.env.BENCH_USAGE_FILE;
// What the program starts in turn speaks for itself, or not at all.
if (file !== undefined && isMainThread) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const line = {
      pid: process.pid,
      cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
      peakMiB: peakKiB() / 1024,
    };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  });
}

/**
 * getrusage(2) counts what the parent had resident when it forked; the kernel's own mark of this
 * process's memory (proc_pid_status(5)) does not.
 */
function peakKiB() {
  try {
    const mark = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
    if (mark !== null) return Number(mark[1]);
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS;
}
