import { delimiter, join } from 'node:path';

/** A program that has to be on the PATH. */
interface Need {
  readonly program: string;
  /** What makes it say its version. Default `--version`. */
  readonly args?: readonly string[];
  /** Major and minor version of the oldest that the library runs on. */
  readonly atLeast?: readonly [number, number];
}

/** How the example of a language is made into a program that receives notifications. */
export interface Toolchain {
  readonly needs: readonly [Need, ...Need[]];
  /** The example in a file of its own: what stands before and after it. */
  readonly example: { readonly file: string; readonly before?: string; readonly after?: string };
  /** The files of `harness/` that go beside it. */
  readonly harness: readonly string[];
  /** Commands that install the library, as the page says it, and build. */
  prepare(library: string): readonly string[][];
  /** Listens on 127.0.0.1 at $PORT, with the secret in $WEBHOOK_SECRET. */
  serve(port: number): readonly [string, ...string[]];
  /** For both, beside the environment of this process. */
  env?(folder: string): Readonly<Record<string, string>>;
}

const words = (command: string): string[] => command.split(' ');

const node: Toolchain = {
  needs: [{ program: 'node' }, { program: 'npm' }],
  example: {
    file: 'example.mjs',
    before: 'const { secret, headers, body } = globalThis.notification;\n',
    after: 'export { event };\n',
  },
  harness: ['serve.mjs'],
  prepare: (library) => [words('npm init --yes'), words(library)],
  serve: () => ['node', 'serve.mjs'],
};

const python: Toolchain = {
  needs: [{ program: 'python3' }],
  example: { file: 'example.py' },
  harness: ['serve.py'],
  prepare: (library) => [words('python3 -m venv venv'), words(library)],
  serve: () => ['python3', 'serve.py'],
  env: (folder) => ({ PATH: [join(folder, 'venv/bin'), process.env['PATH']].join(delimiter) }),
};

const go: Toolchain = {
  needs: [{ program: 'go', args: ['version'], atLeast: [1, 21] }],
  example: { file: 'example.go', before: 'package main\n\n' },
  harness: ['serve.go'],
  prepare: (library) => [words('go mod init receiver'), words(library), words('go build -o serve .')],
  serve: () => ['./serve'],
};

const java: Toolchain = {
  needs: [{ program: 'java' }, { program: 'javac' }, { program: 'mvn' }],
  example: { file: 'Example.java' },
  harness: ['Serve.java', 'pom.xml'],
  prepare(library) {
    const [group, artifact, version] = library.split(':');
    const coordinates = [`-Dlibrary.group=${group}`, `-Dlibrary.artifact=${artifact}`, `-Dlibrary.version=${version}`];
    return [
      ['mvn', '-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib', ...coordinates],
      ['javac', '-cp', 'lib/*', 'Example.java', 'Serve.java'],
    ];
  },
  serve: () => ['java', '-cp', `lib/*${delimiter}.`, 'Serve'],
};

const php: Toolchain = {
  needs: [{ program: 'php', atLeast: [8, 0] }, { program: 'composer' }],
  example: { file: 'example.php', before: '<?php\n' },
  harness: ['serve.php'],
  prepare: (library) => [words(library)],
  serve: (port) => ['php', '-S', `127.0.0.1:${port}`, 'serve.php'],
  env: () => ({ COMPOSER_ALLOW_SUPERUSER: '1', COMPOSER_NO_INTERACTION: '1' }),
};

const ruby: Toolchain = {
  needs: [{ program: 'ruby', atLeast: [3, 3] }, { program: 'gem' }],
  example: { file: 'example.rb', before: 'lambda do |request, secret|\n', after: 'event\nend\n' },
  harness: ['serve.rb'],
  prepare: (library) => [words(library), words('gem install --conservative --no-document rack')],
  serve: () => ['ruby', 'serve.rb'],
  env: (folder) => ({ GEM_HOME: join(folder, 'gems') }),
};

/** By the name of the language, in lower case. */
export const TOOLCHAINS: Readonly<Record<string, Toolchain>> = { node, python, go, java, php, ruby };
