// Code that one test file compiled is taken over by the next. By a call and not by NODE_COMPILE_CACHE,
// which the programs under test would inherit: they keep a cache of their own, under other flags.
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');

enableCompileCache(join(__dirname, '../../node_modules/.cache/tests'));
