/** What somebody does to the class images of a run while looking at them: keep, delete, redo. */
@NullMarked
package dreambooth4j.review;

import org.jspecify.annotations.NullMarked;
