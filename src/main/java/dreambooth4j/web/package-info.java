/** Pages in a browser, served on the loopback interface only, and the same as files. */
@NullMarked
package dreambooth4j.web;

import org.jspecify.annotations.NullMarked;
