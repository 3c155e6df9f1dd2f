// Starts verify.ts the way that bin/ starts a program, from its bundle, for the command that verifies evidence.
//   node verify.cjs FILE
const { launch } = require('../../bin/launch.js');

launch('workshop-evidence', 'get-verified');
