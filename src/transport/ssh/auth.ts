import { existsSync } from 'node:fs';
import ssh2, { type AnyAuthMethod, type BaseAgent, type ParsedKey } from 'ssh2';
import type { FleetError } from '../../lib/errors.ts';
import { failure } from '../failure.ts';
import { type KeyFile, readKeyFile } from './keys.ts';
import { fingerprint } from './known-hosts.ts';

/** OpenSSH's MaxAuthTries is 6: more keys than this would end in a refusal that hides the reason. */
const MAX_KEYS = 5;

/** How a host wants us to log in. */
export interface AuthRequest {
  /** key files in order; those named by the operator must exist */
  identities: readonly { path: string; named: boolean }[];
  /** offer only the named identities (an agent may hold them) */
  identitiesOnly: boolean;
  /** the agent's socket, null for none */
  agentSocket: string | null;
}

/** The attempts to make, in order, and what an E_AUTH error will say of each key that was not usable. */
export interface AuthPlan {
  attempts: readonly { label: string; method: (username: string) => AnyAuthMethod }[];
  notes: readonly { text: string; hint?: string }[];
}

type AgentKeys = { keys: readonly ParsedKey[]; agent: BaseAgent } | { error: string };

/** Keys and agents of a run, each read once. */
export class Credentials {
  private readonly files = new Map<string, Promise<KeyFile>>();
  private readonly agents = new Map<string, Promise<AgentKeys>>();
  private readonly plans = new Map<string, Promise<AuthPlan>>();

  /** What to try for a host: named files, then the agent's keys, then default files; one signature each at most. */
  plan(request: AuthRequest): Promise<AuthPlan> {
    const key = JSON.stringify(request);
    let plan = this.plans.get(key);
    if (!plan) {
      plan = this.makePlan(request);
      this.plans.set(key, plan);
    }
    return plan;
  }

  private async makePlan(request: AuthRequest): Promise<AuthPlan> {
    const notes: { text: string; hint?: string }[] = [];
    const files = await Promise.all(request.identities.map((i) => this.file(i.path)));
    const agent = request.agentSocket ? await this.agent(request.agentSocket) : null;
    if (agent && 'error' in agent) notes.push({ text: agent.error });
    const offered = agent && 'keys' in agent ? agent : null;
    if (offered && offered.keys.length === 0)
      notes.push({
        text: 'the agent holds no key that can be used (certificates and security keys can not)',
        hint: 'ssh-add a plain key',
      });

    const named: AuthPlan['attempts'][number][] = [];
    const others: AuthPlan['attempts'][number][] = [];
    const seen = new Set<string>();
    const add = (
      list: typeof named,
      key: ParsedKey,
      label: string,
      method: (user: string) => AnyAuthMethod,
    ) => {
      const id = key.getPublicSSH().toString('base64');
      if (!seen.has(id))
        list.push({ label: `${label} (${key.type} ${fingerprint(key.getPublicSSH())})`, method });
      seen.add(id);
    };
    const addAgentKey = (list: typeof named, key: ParsedKey, label: string) =>
      add(list, key, label, (username) => ({
        type: 'agent',
        username,
        agent: new OneKeyAgent(offered!.agent, key),
      }));

    for (const [index, file] of files.entries()) {
      const isNamed = request.identities[index]!.named;
      const list = isNamed ? named : others;
      if (file.state === 'usable')
        add(list, file.key, file.path, (username) => ({
          type: 'publickey',
          username,
          key: file.key as never,
        }));
      else if (file.state === 'encrypted') {
        const held = offered?.keys.find((k) => file.publicBlob && k.getPublicSSH().equals(file.publicBlob));
        if (held) addAgentKey(list, held, `${file.path} by the agent`);
        else
          notes.push({
            text: `${file.path} is encrypted and no agent holds it`,
            hint: `ssh-add ${file.path}`,
          });
      } else if (file.state === 'unusable')
        notes.push({ text: `${file.path}: ${file.reason}`, hint: file.hint });
      else if (isNamed) notes.push({ text: `${file.path} does not exist`, hint: 'correct identity_file' });
      if (existsSync(`${file.path}-cert.pub`))
        notes.push({ text: `${file.path}-cert.pub is not used: certificates are not supported` });
    }
    const agentList: typeof named = [];
    if (offered && !request.identitiesOnly)
      for (const key of offered.keys) addAgentKey(agentList, key, `agent key ${key.comment || ''}`.trim());
    const attempts = [...named, ...agentList, ...others];
    if (attempts.length > MAX_KEYS)
      notes.push({
        text: `only the first ${MAX_KEYS} of ${attempts.length} keys are tried`,
        hint: 'name the key by identity_file',
      });
    return { attempts: attempts.slice(0, MAX_KEYS), notes };
  }

  private file(path: string): Promise<KeyFile> {
    let file = this.files.get(path);
    if (!file) {
      file = readKeyFile(path);
      this.files.set(path, file);
    }
    return file;
  }

  private agent(socket: string): Promise<AgentKeys> {
    let agent = this.agents.get(socket);
    if (!agent) {
      agent = listAgent(socket);
      this.agents.set(socket, agent);
    }
    return agent;
  }
}

const AGENT_DEADLINE_MS = 5000;

function listAgent(socket: string): Promise<AgentKeys> {
  return new Promise((resolve) => {
    const agent = ssh2.createAgent(socket);
    const timer = setTimeout(
      () => resolve({ error: `the agent at ${socket} does not answer` }),
      AGENT_DEADLINE_MS,
    );
    agent.getIdentities((error, keys) => {
      clearTimeout(timer);
      if (error || !keys) resolve({ error: `the agent at ${socket} can not be asked` });
      else
        resolve({
          agent,
          keys: keys.filter((k): k is ParsedKey => typeof k === 'object' && 'getPublicSSH' in k),
        });
    });
  });
}

/** Offers one key of an agent, so that the order of attempts is ours. */
class OneKeyAgent extends ssh2.BaseAgent<ParsedKey> {
  private readonly agent: BaseAgent;
  private readonly key: ParsedKey;

  constructor(agent: BaseAgent, key: ParsedKey) {
    super();
    this.agent = agent;
    this.key = key;
  }

  override getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    callback(undefined, [this.key]);
  }

  override sign(...args: unknown[]): void {
    (this.agent.sign as (...all: unknown[]) => void).apply(this.agent, args);
  }
}

/** The E_AUTH error: what was tried, what could not be, what the server would take. */
export function authFailure(
  host: string,
  user: string,
  plan: AuthPlan,
  tried: readonly string[],
  methods: readonly string[] | null,
): FleetError {
  const parts = [
    tried.length > 0 ? `tried ${tried.join(', ')}` : 'there was no key to try',
    ...plan.notes.map((n) => n.text),
  ];
  if (methods && !methods.includes('publickey'))
    parts.push(`the server takes no keys (only ${methods.join(', ') || 'nothing'})`);
  return failure(
    host,
    'E_AUTH',
    `user '${user}' could not log in: ${parts.join('; ')}`,
    plan.notes.find((n) => n.hint)?.hint ??
      `add the public key to ~${user}/.ssh/authorized_keys there, or name another by identity_file`,
  );
}
