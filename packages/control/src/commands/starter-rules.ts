/** The rules file of a first start: a few tools of the reference server, two rules on arguments, and their tests. */
export const STARTER_RULES = `# The starter rules. A rule matches a call or does not; deny wins over allow; nothing matches, nothing is allowed.
# Change them with: writ policy apply FILE
version: 1
rules:
  - id: list-and-connect
    effect: allow
    description: Agents may open sessions and list; a list holds only what its caller may use.
    match:
      action: [mcp.session, tool.list, resource.list, prompt.list]

  - id: harmless-tools
    effect: allow
    description: Tools of the reference server that read nothing and change nothing.
    match:
      action: tool.call
      tool:
        - everything/echo
        - everything/get-sum
        - everything/get-annotated-message
        - everything/get-structured-content
        - everything/get-tiny-image
        - everything/trigger-long-running-operation

  - id: documents
    effect: allow
    description: Resources of the reference server, which are its own documents.
    match:
      action: resource.read
      resource: everything/demo://resource/*

  - id: delegation
    effect: allow
    description: A holder may have a weaker token recorded for somebody else.
    match:
      action: token.attenuate

  - id: no-secrets-in-echo
    effect: deny
    description: Whatever begins with "secret" is not echoed.
    match:
      action: tool.call
      tool: everything/echo
    when:
      args:
        /message: { prefix: secret }

tests:
  - name: a greeting is echoed
    call: { agent: assistant, tool: everything/echo, arguments: { message: hello } }
    expect: { allow: policy_allow, rule: harmless-tools }
  - name: a secret is not echoed
    call: { agent: assistant, tool: everything/echo, arguments: { message: secret plan } }
    expect: { deny: policy_denied, rule: no-secrets-in-echo }
  - name: a document is read
    call: { agent: assistant, resource: "everything/demo://resource/static/document/architecture.md" }
    expect: { allow: policy_allow, rule: documents }
  - name: an upstream that is added later is read only after a rule allows it
    call: { agent: assistant, resource: "files/file:///data/report.txt" }
    expect: { deny: policy_default_deny }
  - name: the environment is not shown
    call: { agent: assistant, tool: everything/get-env, arguments: {} }
    expect: { deny: policy_default_deny }
`;

/** What the starter token adds to `aud` and `exp`: a caveat of each kind that the first commands show. */
export const STARTER_CAVEATS: readonly string[] = [
  JSON.stringify({ tools: ["everything/*"] }),
  JSON.stringify({ args: { "everything/get-sum": { "/a": { max: 100 } } } }),
];
