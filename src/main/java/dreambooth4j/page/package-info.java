/** A run as a page to be looked at: read from what it leaves in its folder, written as one file. */
@NullMarked
package dreambooth4j.page;

import org.jspecify.annotations.NullMarked;
