/** Our models held against recorded cases of another implementation's. */
@NullMarked
package dreambooth4j.verify;

import org.jspecify.annotations.NullMarked;
