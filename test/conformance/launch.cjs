// Starts main.ts the way that bin/ starts a program: a suite does so hundreds of times.
const { launch } = require('../../bin/launch.js');

launch('workshop-conformance');
