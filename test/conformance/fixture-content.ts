/**
 * What the official conformance suite asks of a server that it tests: tools, resources and prompts of given names with
 * given contents. Data, for the fixture servers of both eras.
 */

/** One red pixel, and a sound of no length. */
const IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const SOUND = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

const text = (value: string) => ({ type: "text" as const, text: value });
const image = { type: "image" as const, data: IMAGE, mimeType: "image/png" };
const embedded = (uri: string, mimeType: string, value: string) => ({
  type: "resource" as const,
  resource: { uri, mimeType, text: value },
});

const NO_ARGUMENTS = { type: "object" as const, properties: {} };
const oneText = (name: string) => ({
  type: "object" as const,
  properties: { [name]: { type: "string" as const } },
  required: [name],
});

/** Tools whose answer depends on nothing. */
export const PLAIN_TOOLS = {
  test_simple_text: [text("This is a simple text response for testing.")],
  test_image_content: [image],
  test_audio_content: [{ type: "audio" as const, data: SOUND, mimeType: "audio/wav" }],
  test_embedded_resource: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  test_multiple_content_types: [
    text("Multiple content types test:"),
    image,
    embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ],
};

/** A schema with what a proxy might lose. */
const RICH_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object" as const,
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const tool = (name: string, inputSchema: { readonly type: "object" } = NO_ARGUMENTS) => ({
  name,
  description: `A tool of the conformance suite: ${name.replaceAll("_", " ")}.`,
  inputSchema,
});

export const TOOLS = [
  ...Object.keys(PLAIN_TOOLS).map((name) => tool(name)),
  tool("test_tool_with_logging"),
  tool("test_tool_with_progress"),
  tool("test_error_handling"),
  tool("json_schema_2020_12_tool", RICH_SCHEMA),
];

/** Of the revisions in which a server asks on the stream of a call. */
export const ASKING_TOOLS = [
  tool("test_reconnection"),
  tool("test_sampling", oneText("prompt")),
  tool("test_elicitation", oneText("message")),
  tool("test_elicitation_sep1034_defaults"),
  tool("test_elicitation_sep1330_enums"),
];

const titled = (...titles: readonly string[]) => titles.map((title, at) => ({ const: `value${at + 1}`, title }));

/** Forms that a client is asked to fill in. */
export const FORMS = {
  response: { type: "object" as const, properties: { response: { type: "string" as const } }, required: ["response"] },
  defaults: {
    type: "object" as const,
    properties: {
      name: { type: "string" as const, default: "John Doe" },
      age: { type: "integer" as const, default: 30 },
      score: { type: "number" as const, default: 95.5 },
      status: { type: "string" as const, enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean" as const, default: true },
    },
  },
  enums: {
    type: "object" as const,
    properties: {
      untitledSingle: { type: "string" as const, enum: ["option1", "option2", "option3"] },
      titledSingle: { type: "string" as const, oneOf: titled("First Option", "Second Option", "Third Option") },
      legacyEnum: {
        type: "string" as const,
        enum: ["opt1", "opt2", "opt3"],
        enumNames: ["Option One", "Option Two", "Option Three"],
      },
      untitledMulti: {
        type: "array" as const,
        minItems: 1,
        maxItems: 3,
        items: { type: "string" as const, enum: ["option1", "option2", "option3"] },
      },
      titledMulti: {
        type: "array" as const,
        minItems: 1,
        maxItems: 3,
        items: { anyOf: titled("First Choice", "Second Choice", "Third Choice") },
      },
    },
  },
};

export const RESOURCES = [
  { uri: "test://static-text", name: "static-text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", mimeType: "text/plain" },
];

export const TEMPLATES = [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }];

/** What a URI holds; undefined when there is no such resource. */
export function readContents(uri: string) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return [{ uri, mimeType: "application/json", text: data }];
  }
  switch (uri) {
    case "test://static-text":
      return [{ uri, mimeType: "text/plain", text: "This is the content of the static text resource." }];
    case "test://static-binary":
      return [{ uri, mimeType: "image/png", blob: IMAGE }];
    case "test://watched-resource":
      return [{ uri, mimeType: "text/plain", text: "Watched resource content" }];
    default:
      return undefined;
  }
}

export const PROMPTS = [
  { name: "test_simple_prompt", description: "Without arguments." },
  {
    name: "test_prompt_with_arguments",
    description: "With two arguments.",
    arguments: [
      { name: "arg1", description: "The first.", required: true },
      { name: "arg2", description: "The second.", required: true },
    ],
  },
  {
    name: "test_prompt_with_embedded_resource",
    description: "With a resource in it.",
    arguments: [{ name: "resourceUri", description: "Which.", required: true }],
  },
  { name: "test_prompt_with_image", description: "With an image in it." },
];

/** The messages of a prompt; undefined when there is no such prompt. */
export function promptMessages(name: string, args: Readonly<Record<string, string>>) {
  const said = (content: ReturnType<typeof text> | typeof image | ReturnType<typeof embedded>) => ({
    role: "user" as const,
    content,
  });
  switch (name) {
    case "test_simple_prompt":
      return [said(text("This is a simple prompt for testing."))];
    case "test_prompt_with_arguments":
      return [said(text(`Prompt with arguments: arg1='${args["arg1"]}', arg2='${args["arg2"]}'`))];
    case "test_prompt_with_embedded_resource":
      return [
        said(embedded(String(args["resourceUri"]), "text/plain", "Embedded resource content for testing.")),
        said(text("Please process the embedded resource above.")),
      ];
    case "test_prompt_with_image":
      return [said(image), said(text("Please analyze the image above."))];
    default:
      return undefined;
  }
}
