// Starts main.ts the way that bin/ starts a program: a suite does so hundreds of times.
const { launch } = require('../../bin/launch.js');

// The options come before the command.
launch('workshop-conformance', process.argv.at(-1));
