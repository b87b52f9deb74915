// Which release this is: in the API's description and in every line of the log. A test holds it to package.json.
export const version = '1.0.0'
