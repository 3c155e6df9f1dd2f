// Starts ours.ts the way that bin/ starts a program, from its bundle.
//   node ours.cjs STORE REPOSITORY_URL [TARGET TARGETS_FOLDER]
const { launch } = require('../../bin/launch.js');

launch('workshop-bench');
