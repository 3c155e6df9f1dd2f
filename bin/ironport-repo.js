#!/usr/bin/env node
const { launch } = require('./launch.js');

// Threads that wait for the disk: syncs that wait side by side are one wait, and Node has four.
if (process.env.UV_THREADPOOL_SIZE === undefined) process.env.UV_THREADPOOL_SIZE = '16';

launch('server');
