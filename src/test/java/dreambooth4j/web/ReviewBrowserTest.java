package dreambooth4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.support.ui.FluentWait;

/** The page in a browser, by its keys, from the first look to a picture made again. */
class ReviewBrowserTest {
  @TempDir Path folder;
  @TempDir Path profile;

  @SuppressWarnings("NullAway.Init")
  private TinyRun run;

  @SuppressWarnings("NullAway.Init")
  private TinyReview tiny;

  @SuppressWarnings("NullAway.Init")
  private ChromeDriver browser;

  @BeforeEach
  void open() throws IOException {
    HeadlessBrowser.require();
    run = new TinyRun(folder).withPaintedClassImages();
    tiny = new TinyReview(run);
    browser = HeadlessBrowser.start(profile);
    browser.get(tiny.server.address());
  }

  @AfterEach
  @SuppressWarnings("NullAway") // null where there is no browser
  void close() {
    if (browser != null) {
      browser.quit();
    }
    if (tiny != null) {
      tiny.close();
    }
  }

  /** Waits until this is so; a page that draws anew meanwhile is asked again. */
  private void until(String what, Callable<Boolean> condition) {
    new FluentWait<>(condition)
        .withMessage(what)
        .withTimeout(Duration.ofSeconds(60))
        .pollingEvery(Duration.ofMillis(50))
        .ignoring(StaleElementReferenceException.class)
        .until(
            each -> {
              try {
                return each.call();
              } catch (RuntimeException e) {
                throw e;
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
  }

  private void press(CharSequence key) {
    new Actions(browser).sendKeys(key).perform();
  }

  private List<WebElement> all(String selector) {
    return browser.findElements(By.cssSelector(selector));
  }

  private void untilThere(String selector) {
    until(selector, () -> !all(selector).isEmpty());
  }

  private String text(String selector) {
    return browser.findElement(By.cssSelector(selector)).getText();
  }

  private List<String> classImages() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("class"))) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(n -> n.endsWith("png"))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldReviewByItsKeys() throws IOException {
    untilThere(".row:nth-child(1) .tile.here");
    until("pictures", () -> loaded() >= 2);
    assertThat(all(".row")).hasSize(5);
    assertThat(text("#summary")).isEqualTo("5 pictures · 0 of 5 class images kept");

    press(" ");
    untilThere(".row:nth-child(1) .tile.kept");
    assertThat(folder.resolve("class/.review/kept.json")).hasContent("[\"c0.png\"]");
    untilThere(".row:nth-child(2) .tile.here");

    press("d");
    untilThere(".row:nth-child(2) .tile.missing");
    assertThat(classImages()).containsExactly("c0.png", "c2.png", "c3.png", "c4.png");
    untilThere(".row:nth-child(3) .tile.here");
    press("u");
    untilThere(".row:nth-child(2) .tile.here[data-image]");
    assertThat(classImages()).hasSize(5);

    press("e");
    untilThere("#edit[open]");
    WebElement caption = browser.findElement(By.id("edit-text"));
    assertThat(caption.getDomProperty("value")).isEqualTo("sks, man, beach, dog");
    caption.sendKeys(Keys.chord(Keys.CONTROL, "a"), ", ,", Keys.ENTER);
    until("refusal", () -> text("#edit-wrong").equals("a caption must not be empty"));
    caption.sendKeys(Keys.chord(Keys.CONTROL, "a"), "sks, man, <b>\"moon\"</b>", Keys.ENTER);
    until("caption", () -> text(".row:nth-child(2) .class-caption").equals("man, <b>\"moon\"</b>"));
    assertThat(run.pictures().resolve("p1.txt")).hasContent("sks, man, <b>\"moon\"</b>");
    assertThat(text("#said")).contains("'man, beach, dog' no longer counts");
    untilThere(".row:nth-child(2) .tile.missing.here");

    press("r");
    untilThere(".row:nth-child(2) .tile[data-image]");
    assertThat(classImages()).hasSize(6);
    untilThere("#making[hidden]");
    press("k");
    untilThere(".row:nth-child(2) .tile.here");
    String before = browser.findElement(By.cssSelector(".here")).getDomAttribute("data-image");
    press("r");
    until(
        "another image",
        () ->
            !all(".row:nth-child(2) .tile[data-image]").isEmpty()
                && all(".row:nth-child(2) .tile[data-image='" + before + "']").isEmpty());
    assertThat(classImages()).hasSize(6);

    press(Keys.ENTER);
    untilThere("#view[open]");
    press(Keys.ESCAPE);
    press("?");
    untilThere("#help[open]");
    press(Keys.ESCAPE);
    until("help closed", () -> all("dialog[open]").isEmpty());
    Files.write(Path.of("target/review.png"), browser.getScreenshotAs(OutputType.BYTES));

    browser.navigate().refresh();
    untilThere(".row:nth-child(1) .tile.kept");
    assertThat(text("#summary")).isEqualTo("5 pictures · 1 of 5 class images kept");
    // Chromium reports the refused caption, and would report what the page's own policy forbids.
    assertThat(HeadlessBrowser.complaints(browser))
        .allMatch(entry -> entry.getMessage().contains("status of 422"));
    assertThat(all("#problem:not([hidden])")).isEmpty();
  }

  private long loaded() {
    Object count =
        browser.executeScript(
            "return [...document.images].filter(i => i.complete && i.naturalWidth > 0).length");
    return count instanceof Long number ? number : 0;
  }
}
