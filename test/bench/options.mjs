import { parseArgs } from 'node:util';

const usage = `usage: npm run bench [-- --hosts N] [--rounds N]

  --hosts N    hosts that are made, 1 to 1000 (default 50)
  --rounds N   runs of each that are compared, at least 1 (default 5)

Makes hosts in network namespaces, and runs a playbook of 20 tasks that has nothing to do over them, in turn with
\`ssh host true\`. Ends with 0 where all targets are met, with 1 where not. Needs root.`;

/**
 * The benchmark's options; --help and what is wrong end the process, before anything is installed or made.
 * @param {readonly string[]} args
 * @returns {{ hosts: number, rounds: number }}
 */
export function benchOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        hosts: { type: 'string', default: '50' },
        rounds: { type: 'string', default: '5' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    return refuse(error.message);
  }
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const [hosts, rounds] = [Number(values.hosts), Number(values.rounds)];
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > 1000)
    return refuse('--hosts must be a number from 1 to 1000');
  if (!Number.isInteger(rounds) || rounds < 1) return refuse('--rounds must be a number, at least 1');
  return { hosts, rounds };
}

function refuse(message) {
  console.error(`${message}\n${usage}`);
  process.exit(64);
}
