import { defineKind, type Input } from '../kind.ts';
import { apt } from './apt.ts';
import { type PackageManager, type PackageState, toRequest } from './manager.ts';
import { packageWork, planPackages } from './plan.ts';
import { type PackageDeclaration, packageSchema } from './schema.ts';
import { packageClaims, packageExample, packageHabits } from './words.ts';

const managers: ReadonlyMap<string, PackageManager> = new Map([[apt.id, apt]]);

/** Packages of the distribution, present or absent. */
export const packages = defineKind<PackageDeclaration, PackageState>({
  kind: 'package',
  summary: "Packages of the host's distribution, present or absent (apt; dnf and zypper are refused)",
  schema: packageSchema,
  example: packageExample,
  habits: packageHabits,
  claims: packageClaims,
  probe: probePackages,
  parse: (output, { desired }) => apt.parse(output, toRequest(desired)),
  plan: ({ desired }, current, { facts }) => planPackages(toRequest(desired), current, facts, managers),
  steps({ desired }, current, { facts }) {
    const manager = managers.get(facts.packages.manager)!;
    const request = toRequest(desired);
    const { install, remove } = packageWork(request, current);
    return [
      ...(install.length > 0 ? [manager.install(install, request, current)] : []),
      ...(remove.length > 0 ? [manager.remove(remove, current.removed)] : []),
    ];
  },
});

/** Where dpkg is missing each declaration still gets its answer, an empty one: the plan says what is not supported. */
function probePackages(inputs: readonly Input<PackageDeclaration>[]): string {
  const requests = inputs.map(({ desired }) => toRequest(desired));
  const nothing = requests.map((_request, index) => `bf_f ${index} ''\n`).join('');
  return `if command -v dpkg-query >/dev/null 2>&1; then\n${apt.probe(requests)}else\n${nothing}fi\n`;
}
