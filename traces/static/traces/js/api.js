// The address of the OpenAPI document flows in, its page flows out.
const place = document.getElementById("api");
window.SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // It would ask another site whether the document is valid.
  validatorUrl: null,
});
