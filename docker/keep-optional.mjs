// Takes every optional package out of ./package.json but those named, so that `npm ci` installs no others: npm can leave
// out all of them (--omit=optional) or none. The lock file may hold more than package.json asks for.
import { readFileSync, writeFileSync } from 'node:fs';

const keep = process.argv.slice(2);
const project = JSON.parse(readFileSync('package.json', 'utf8'));
const unknown = keep.filter((name) => !Object.hasOwn(project.optionalDependencies, name));
if (unknown.length > 0) throw new Error(`no optional package: ${unknown.join(', ')}`);
project.optionalDependencies = Object.fromEntries(
  Object.entries(project.optionalDependencies).filter(([name]) => keep.includes(name)),
);
writeFileSync('package.json', `${JSON.stringify(project, null, 2)}\n`);
