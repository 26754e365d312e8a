// The languages that people ask models about. Each costs what it weighs: see test/build.test.mjs. The order of the
// imports is that of the bundle, and was searched for: what is alike and near is compressed together, which is 6 KiB of
// 42.
import type { LanguageFn } from 'highlight.js';
import markdown from 'highlight.js/lib/languages/markdown';
import diff from 'highlight.js/lib/languages/diff';
import cpp from 'highlight.js/lib/languages/cpp';
import c from 'highlight.js/lib/languages/c';
import yaml from 'highlight.js/lib/languages/yaml';
import typescript from 'highlight.js/lib/languages/typescript';
import graphql from 'highlight.js/lib/languages/graphql';
import go from 'highlight.js/lib/languages/go';
import http from 'highlight.js/lib/languages/http';
import java from 'highlight.js/lib/languages/java';
import protobuf from 'highlight.js/lib/languages/protobuf';
import r from 'highlight.js/lib/languages/r';
import dart from 'highlight.js/lib/languages/dart';
import lua from 'highlight.js/lib/languages/lua';
import csharp from 'highlight.js/lib/languages/csharp';
import kotlin from 'highlight.js/lib/languages/kotlin';
import pythonRepl from 'highlight.js/lib/languages/python-repl';
import javascript from 'highlight.js/lib/languages/javascript';
import groovy from 'highlight.js/lib/languages/groovy';
import rust from 'highlight.js/lib/languages/rust';
import ini from 'highlight.js/lib/languages/ini';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import php from 'highlight.js/lib/languages/php';
import powershell from 'highlight.js/lib/languages/powershell';
import makefile from 'highlight.js/lib/languages/makefile';
import shell from 'highlight.js/lib/languages/shell';
import json from 'highlight.js/lib/languages/json';
import ruby from 'highlight.js/lib/languages/ruby';
import xml from 'highlight.js/lib/languages/xml';
import nginx from 'highlight.js/lib/languages/nginx';
import python from 'highlight.js/lib/languages/python';
import bash from 'highlight.js/lib/languages/bash';
import sql from 'highlight.js/lib/languages/sql';
import css from 'highlight.js/lib/languages/css';
import scss from 'highlight.js/lib/languages/scss';
import plaintext from 'highlight.js/lib/languages/plaintext';

export const grammars: Record<string, LanguageFn> = {
  bash,
  c,
  cpp,
  csharp,
  css,
  dart,
  diff,
  dockerfile,
  go,
  graphql,
  groovy,
  http,
  ini,
  java,
  javascript,
  json,
  kotlin,
  lua,
  makefile,
  markdown,
  nginx,
  php,
  plaintext,
  powershell,
  protobuf,
  python,
  'python-repl': pythonRepl,
  r,
  ruby,
  rust,
  scss,
  shell,
  sql,
  typescript,
  xml,
  yaml,
};

/** What is near enough to one of them, beside the aliases that they bring. */
export const aliases = {
  bash: ['fish', 'ksh'],
  cpp: ['arduino', 'ino'],
  groovy: ['gradle', 'jenkinsfile'],
  json: ['json5', 'jsonl', 'ndjson'],
  scss: ['sass', 'less'],
  sql: ['mysql', 'postgres', 'postgresql', 'psql', 'plsql', 'tsql', 'sqlite'],
  xml: ['vue', 'svelte', 'astro', 'php-template'],
};
